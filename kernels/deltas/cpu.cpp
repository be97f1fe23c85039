#include "kernels/deltas/deltas.h"

#include <algorithm>

#include "kernels/cpu/context.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

// Least-squares polynomials through 9 frames, i = -4 .. 4 (Savitzky and Golay 1964). The slope of the line is
// sum(i x[i])/60, the second derivative of the parabola sum(curvature[|i|] x[i])/462.
constexpr int reach = 4;
constexpr float slope_divisor = 60, curvature_divisor = 462;
constexpr float curvature[reach + 1] = {-20, -17, -8, 7, 28};

} // namespace

void run(const Deltas<Tensor>& op, Context& cpu) {
    check_rank(op.x, 3, "x");
    const int64_t clips = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
    SCENE_CHECK(frames > 2 * reach, "deltas of " + std::to_string(frames) + " frames, expected at least 9");
    const float* input = floats(op.x, op.x.shape, "x");
    float* output = floats(op.y, {clips, frames, bands, 3}, "y");
#pragma omp parallel for num_threads(cpu.threads) schedule(static)
    for (int64_t row = 0; row < clips * frames; ++row) {
        const int64_t frame = row % frames;
        // Both derivatives are constant over a window, so the ends repeat those of the nearest whole window.
        const int64_t centre = row - frame + std::clamp<int64_t>(frame, reach, frames - 1 - reach);
        const float* window = input + centre * bands;
        const float* here = input + row * bands;
        float* values = output + row * bands * 3;
        for (int64_t band = 0; band < bands; ++band) {
            float slope = 0, bend = curvature[0] * window[band];
            for (int i = 1; i <= reach; ++i) {
                const float before = window[band - i * bands], after = window[band + i * bands];
                slope += static_cast<float>(i) * (after - before);
                bend += curvature[i] * (after + before);
            }
            values[3 * band] = here[band];
            values[3 * band + 1] = slope / slope_divisor;
            values[3 * band + 2] = bend / curvature_divisor;
        }
    }
}

} // namespace scene::cpu
