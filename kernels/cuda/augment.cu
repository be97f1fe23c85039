#include "kernels/augmentation.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

constexpr float variance_floor = 1e-6f;

ClipDraw* clip_draws(const Tensor& draws, int64_t batch) {
    check_tensor(draws, DType::U8, {batch, sizeof(ClipDraw)}, "draws");
    SCENE_CHECK(reinterpret_cast<uintptr_t>(draws.data) % alignof(ClipDraw) == 0, "draws are not aligned");
    return static_cast<ClipDraw*>(draws.data);
}

/// A thread for each clip.
__global__ void __launch_bounds__(block_threads)
    draw(ClipDraw* draws, const StepControl* control, AugmentationSampler sampler, int64_t batch, int64_t frames,
         int64_t bands) {
    const int64_t n = thread_in_grid();
    if (n < batch) draws[n] = draw_clip(sampler, control->seed, control->step, n, batch, frames, bands);
}

constexpr int moment_bands = 32, moment_rows = 16;

/// The sum of a band's values over the rows of a block, in every thread. `shared`: [moment_rows][moment_bands].
__device__ float sum_of_rows(float value, float* shared) {
    const int band = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y);
    __syncthreads(); // the sum before has been read
    shared[row * moment_bands + band] = value;
    __syncthreads();
    float sum = 0;
    for (int other = 0; other < moment_rows; ++other) sum += shared[other * moment_bands + band];
    return sum;
}

/// A block for 32 bands of a clip: the mean first, then the squares about it.
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

/// A warp for each clip.
__global__ void __launch_bounds__(warp_lanes) average_bands(float* clip_mean, const float* mean, int64_t bands) {
    const int64_t n = blockIdx.x;
    float sum = 0;
    for (int64_t f = threadIdx.x; f < bands; f += warp_lanes) sum += mean[n * bands + f];
    sum = warp_sum(sum);
    if (threadIdx.x == 0) clip_mean[n] = sum / static_cast<float>(bands);
}

__device__ inline bool any_covers(const Mask (&masks)[max_masks], int64_t place) {
    bool covered = false;
#pragma unroll
    for (int i = 0; i < max_masks; ++i) covered = covered || masks[i].covers(place);
    return covered;
}

struct FeatureBatch {
    const float *x, *mean, *deviation, *clip_mean;
    const ClipDraw* draws;
    int64_t frames, bands;

    /// Clip n at a frame and band, before another is mixed in.
    __device__ float changed(int64_t n, int64_t frame, int64_t band) const {
        const ClipDraw& own = draws[n];
        const float share = own.style_share, gain = own.gain;
        const int64_t partner = own.style_partner;
        if (any_covers(own.time, frame) || any_covers(own.frequency, band))
            return share * (clip_mean[n] + gain) + (1 - share) * (clip_mean[partner] + draws[partner].gain);
        const float value = x[(n * frames + (frame + frames - own.roll) % frames) * bands + band];
        if (share == 1.0f) return value + gain;
        const int64_t at = n * bands + band, other = partner * bands + band;
        const float scale = (share * deviation[at] + (1 - share) * deviation[other]) / deviation[at];
        return (value - mean[at]) * scale + share * (mean[at] + gain) +
               (1 - share) * (mean[other] + draws[partner].gain);
    }
};

/// A thread for each value of a clip by the clips.
__global__ void __launch_bounds__(block_threads) augment(float* y, FeatureBatch batch) {
    const int64_t i = thread_in_grid(), n = blockIdx.y, clip = batch.frames * batch.bands;
    if (i >= clip) return;
    const int64_t frame = i / batch.bands, band = i % batch.bands;
    const float share = batch.draws[n].mix_share;
    float value = share * batch.changed(n, frame, band);
    if (share != 1.0f) value += (1 - share) * batch.changed(batch.draws[n].mix_partner, frame, band);
    y[n * clip + i] = value;
}

/// A thread for each clip.
__global__ void __launch_bounds__(block_threads)
    mix(float* mixed_target, float* mixed_weight, const float* target, const float* weight, const ClipDraw* draws,
        int64_t batch, int64_t classes) {
    const int64_t n = thread_in_grid();
    if (n >= batch) return;
    const int64_t partner = draws[n].mix_partner;
    const float share = draws[n].mix_share;
    const float own = share * weight[n], sum = own + (1 - share) * weight[partner];
    const float own_share = sum > 0 ? own / sum : share;
    mixed_weight[n] = sum;
    for (int64_t k = 0; k < classes; ++k)
        mixed_target[n * classes + k] =
            own_share * target[n * classes + k] + (1 - own_share) * target[partner * classes + k];
}

} // namespace

void draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames, int64_t bands,
                       cudaStream_t stream) {
    check_rank(draws, 2, "draws");
    const int64_t batch = draws.shape[0];
    launch(draw, blocks_over(batch), dim3(block_threads), 0, stream, clip_draws(draws, batch), &step_control(control),
           sampler, batch, frames, bands);
}

void band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x, cudaStream_t stream) {
    check_rank(x, 3, "x");
    const int64_t batch = x.shape[0], frames = x.shape[1], bands = x.shape[2];
    const float* values = floats(x, x.shape, "x");
    float* means = floats(mean, {batch, bands}, "mean");
    float* deviations = floats(deviation, {batch, bands}, "deviation");
    float* clip_means = floats(clip_mean, {batch}, "clip_mean");
    SCENE_CHECK(batch > 0 && batch <= 65535 && frames > 0 && bands > 0, "moments of x " + x.shape.text());
    launch(moments, dim3(static_cast<unsigned>(divide_up(bands, moment_bands)), static_cast<unsigned>(batch)),
           dim3(moment_bands, moment_rows), moment_bands * moment_rows * sizeof(float), stream, means, deviations,
           values, frames, bands);
    launch(average_bands, dim3(static_cast<unsigned>(batch)), dim3(warp_lanes), 0, stream, clip_means, means, bands);
}

void augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation, Tensor clip_mean,
                      cudaStream_t stream) {
    check_rank(x, 3, "x");
    const int64_t batch = x.shape[0], frames = x.shape[1], bands = x.shape[2];
    float* out = floats(y, x.shape, "y");
    const FeatureBatch from{floats(x, x.shape, "x"),
                            optional_floats(mean, {batch, bands}, "mean"),
                            optional_floats(deviation, {batch, bands}, "deviation"),
                            optional_floats(clip_mean, {batch}, "clip_mean"),
                            clip_draws(draws, batch),
                            frames,
                            bands};
    SCENE_CHECK(out != from.x, "augment_features does not work in place");
    SCENE_CHECK(!from.mean == !from.deviation && !from.mean == !from.clip_mean, "some moments are absent");
    SCENE_CHECK(batch > 0 && batch <= 65535, "a batch of " + std::to_string(batch));
    dim3 grid = blocks_over(frames * bands);
    grid.y = static_cast<unsigned>(batch);
    launch(augment, grid, dim3(block_threads), 0, stream, out, from);
}

void mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws,
                 cudaStream_t stream) {
    check_rank(target, 2, "target");
    const int64_t batch = target.shape[0], classes = target.shape[1];
    float* targets_out = floats(mixed_target, target.shape, "mixed_target");
    float* weights_out = floats(mixed_weight, {batch}, "mixed_weight");
    const float* targets = floats(target, target.shape, "target");
    const float* weights = floats(weight, {batch}, "weight");
    SCENE_CHECK(targets_out != targets && weights_out != weights, "mix_targets does not work in place");
    launch(mix, blocks_over(batch), dim3(block_threads), 0, stream, targets_out, weights_out, targets, weights,
           clip_draws(draws, batch), batch, classes);
}

} // namespace scene::cuda
