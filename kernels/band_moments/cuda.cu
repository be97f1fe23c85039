#include "kernels/band_moments/band_moments.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

constexpr float variance_floor = 1e-6f;
constexpr int moment_bands = 32, moment_rows = 16;

/// The sum of a band's values over the rows of a block, in every thread. `shared`: [moment_rows][moment_bands].
__device__ float sum_of_rows(float value, float* shared) {
    const int band = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y);
    __syncthreads(); // the previous sum has been read
    shared[row * moment_bands + band] = value;
    __syncthreads();
    float sum = 0;
    for (int other = 0; other < moment_rows; ++other) sum += shared[other * moment_bands + band];
    return sum;
}

/// One block per 32 bands of a clip. Two passes: the mean, then the squared deviations from it.
__global__ void __launch_bounds__(moment_bands* moment_rows)
    moments(float* mean, float* deviation, const float* x, int64_t frames, int64_t bands) {
    float* shared = dynamic_shared<float>();
    const int64_t band = static_cast<int64_t>(blockIdx.x) * moment_bands + threadIdx.x, n = blockIdx.y;
    const bool exists = band < bands;
    const float* clip = x + n * frames * bands + band;
    const auto count = static_cast<float>(frames);
    float sum = 0, squares = 0;
    for (int64_t t = threadIdx.y; exists && t < frames; t += moment_rows) sum += clip[t * bands];
    const float average = sum_of_rows(sum, shared) / count;
    for (int64_t t = threadIdx.y; exists && t < frames; t += moment_rows) {
        const float distance = clip[t * bands] - average;
        squares += distance * distance;
    }
    squares = sum_of_rows(squares, shared);
    if (!exists || threadIdx.y > 0) return;
    mean[n * bands + band] = average;
    deviation[n * bands + band] = sqrtf(squares / count + variance_floor);
}

/// One warp per clip.
__global__ void __launch_bounds__(warp_lanes) average_bands(float* clip_mean, const float* mean, int64_t bands) {
    const int64_t n = blockIdx.x;
    float sum = 0;
    for (int64_t f = threadIdx.x; f < bands; f += warp_lanes) sum += mean[n * bands + f];
    sum = warp_sum(sum);
    if (threadIdx.x == 0) clip_mean[n] = sum / static_cast<float>(bands);
}

} // namespace

void run(const BandMoments<Tensor>& op, Context& cuda) {
    check_rank(op.x, 3, "x");
    const int64_t batch = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
    const float* x = floats(op.x, op.x.shape, "x");
    float* mean = floats(op.mean, {batch, bands}, "mean");
    float* deviation = floats(op.deviation, {batch, bands}, "deviation");
    float* clip_mean = floats(op.clip_mean, {batch}, "clip_mean");
    SCENE_CHECK(batch > 0 && batch <= 65535 && frames > 0 && bands > 0, "moments of x " + op.x.shape.text());
    launch(moments, dim3(static_cast<unsigned>(divide_up(bands, moment_bands)), static_cast<unsigned>(batch)),
           dim3(moment_bands, moment_rows), moment_bands * moment_rows * sizeof(float), cuda.stream, mean, deviation, x,
           frames, bands);
    launch(average_bands, dim3(static_cast<unsigned>(batch)), dim3(warp_lanes), 0, cuda.stream, clip_mean, mean, bands);
}

} // namespace scene::cuda
