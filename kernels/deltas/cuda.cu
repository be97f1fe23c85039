#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/deltas/deltas.h"

namespace scene::cuda {
namespace {

// Least-squares polynomials through 9 frames, i = -4 .. 4 (Savitzky and Golay 1964). The slope of the line is
// sum(i x[i])/60, the second derivative of the parabola sum(curvature[|i|] x[i])/462.
constexpr int reach = 4;

/// One thread for each clip, frame and band.
__global__ void __launch_bounds__(block_threads)
    differentiate(float* out, const float* x, int64_t count, int frames, int bands) {
    const float curvature[reach + 1] = {-20, -17, -8, 7, 28};
    const int64_t at = thread_in_grid();
    if (at >= count) return;
    // Both derivatives are constant over a window, so the ends repeat those of the nearest whole window.
    const int64_t frame = at / bands % frames;
    const int64_t inner = frame < reach ? reach : frame > frames - 1 - reach ? frames - 1 - reach : frame;
    const float* window = x + at + (inner - frame) * bands;
    float slope = 0, bend = curvature[0] * window[0];
#pragma unroll
    for (int i = 1; i <= reach; ++i) {
        const float before = window[-static_cast<int64_t>(i) * bands], after = window[static_cast<int64_t>(i) * bands];
        slope += static_cast<float>(i) * (after - before);
        bend += curvature[i] * (after + before);
    }
    out[3 * at] = x[at];
    out[3 * at + 1] = slope / 60;
    out[3 * at + 2] = bend / 462;
}

} // namespace

void run(const Deltas<Tensor>& op, Context& cuda) {
    check_rank(op.x, 3, "x");
    const int64_t clips = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2], count = op.x.elements();
    SCENE_CHECK(frames > 2 * reach, "deltas of " + std::to_string(frames) + " frames, expected at least 9");
    const float* x = floats(op.x, op.x.shape, "x");
    float* y = floats(op.y, {clips, frames, bands, 3}, "y");
    launch(differentiate, blocks_over(count), dim3(block_threads), 0, cuda.stream, y, x, count,
           static_cast<int>(frames), static_cast<int>(bands));
}

} // namespace scene::cuda
