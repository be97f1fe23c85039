// What surrounds the network in a step: features, batches, loss, metrics, the optimiser.

#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/log_mel_by_library.h"

namespace scene::cuda {
namespace {

constexpr int64_t transformed_at_once = 16; ///< clips: a quarter of a gigabyte of scratch

} // namespace

void CudaBackend::log_mel(Tensor out, Tensor wave, const LogMelSpec& spec) {
    const Tensor table = log_mel_table(spec);
    if (transforms_) {
        const int64_t clips = wave.shape[0], at_once = std::min(clips, transformed_at_once);
        const Tensor memory = scratch(log_mel_by_library_scratch_bytes(clips, at_once, spec, *transforms_));
        log_mel_by_library(out, wave, table, memory, at_once, spec, *transforms_, stream_);
        return;
    }
    cuda::log_mel(out, wave, table, scratch(log_mel_scratch_bytes(wave.shape[0], spec)), spec, stream_);
}
void CudaBackend::deltas(Tensor out, Tensor x) { cuda::deltas(out, x, stream_); }

void CudaBackend::gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control) {
    cuda::gather_rows(rows, table, order, control, stream_);
}
void CudaBackend::scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control) {
    cuda::scatter_rows(table, rows, order, control, stream_);
}
void CudaBackend::advance(Tensor control, uint32_t batch, uint32_t steps) {
    cuda::advance(control, batch, steps, stream_);
}

void CudaBackend::draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames,
                                    int64_t bands) {
    cuda::draw_augmentation(draws, control, sampler, frames, bands, stream_);
}
void CudaBackend::band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x) {
    cuda::band_moments(mean, deviation, clip_mean, x, stream_);
}
void CudaBackend::augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation, Tensor clip_mean) {
    cuda::augment_features(y, x, draws, mean, deviation, clip_mean, stream_);
}
void CudaBackend::mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws) {
    cuda::mix_targets(mixed_target, mixed_weight, target, weight, draws, stream_);
}

void CudaBackend::fill_zero(Tensor x) { cuda::fill_zero(x, stream_); }
void CudaBackend::convert(Tensor to, Tensor from) { cuda::convert(to, from, stream_); }

} // namespace scene::cuda
