#include "kernels/augment_features/feature_operands.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

__device__ inline bool any_covers(const Mask (&masks)[max_masks], int64_t place) {
    bool covered = false;
#pragma unroll
    for (int i = 0; i < max_masks; ++i) covered = covered || masks[i].covers(place);
    return covered;
}

/// v(n) of the contract at one frame and band.
__device__ float changed(const FeatureOperands& batch, int64_t n, int64_t frame, int64_t band) {
    const ClipDraw& own = batch.draws[n];
    const float share = own.style_share, gain = own.gain;
    const int64_t partner = own.style_partner;
    if (any_covers(own.time, frame) || any_covers(own.frequency, band))
        return share * (batch.clip_mean[n] + gain) +
               (1 - share) * (batch.clip_mean[partner] + batch.draws[partner].gain);
    const float value =
        batch.x[(n * batch.frames + (frame + batch.frames - own.roll) % batch.frames) * batch.bands + band];
    if (share == 1.0f) return value + gain;
    const int64_t at = n * batch.bands + band, other = partner * batch.bands + band;
    const float scale = (share * batch.deviation[at] + (1 - share) * batch.deviation[other]) / batch.deviation[at];
    return (value - batch.mean[at]) * scale + share * (batch.mean[at] + gain) +
           (1 - share) * (batch.mean[other] + batch.draws[partner].gain);
}

/// One thread per value of a clip; blockIdx.y is the clip.
__global__ void __launch_bounds__(block_threads) augment(FeatureOperands batch) {
    const int64_t i = thread_in_grid(), n = blockIdx.y, clip = batch.frames * batch.bands;
    if (i >= clip) return;
    const int64_t frame = i / batch.bands, band = i % batch.bands;
    const float share = batch.draws[n].mix_share;
    float value = share * changed(batch, n, frame, band);
    if (share != 1.0f) value += (1 - share) * changed(batch, batch.draws[n].mix_partner, frame, band);
    batch.y[n * clip + i] = value;
}

} // namespace

void run(const AugmentFeatures<Tensor>& op, Context& cuda) {
    const FeatureOperands batch(op);
    SCENE_CHECK(batch.clips > 0 && batch.clips <= 65535, "a batch of " + std::to_string(batch.clips));
    dim3 grid = blocks_over(batch.frames * batch.bands);
    grid.y = static_cast<unsigned>(batch.clips);
    launch(augment, grid, dim3(block_threads), 0, cuda.stream, batch);
}

} // namespace scene::cuda
