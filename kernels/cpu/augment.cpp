#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

constexpr double variance_floor = 1e-6;

ClipDraw* clip_draws(const Tensor& draws, int64_t batch) {
    check_tensor(draws, DType::U8, {batch, sizeof(ClipDraw)}, "draws");
    return static_cast<ClipDraw*>(draws.data);
}

/// One clip outside of its time masks: (x - centre)*scale + offset for every band.
struct ChangedClip {
    const float* x;
    const ClipDraw* draw;
    std::vector<float> centre, scale, offset;
    float fill = 0; ///< inside of masks

    /// row [F] = or += factor times the changed frame.
    template <bool add> void write(float* row, int64_t frame, int64_t frames, float factor) const {
        const auto bands = static_cast<int64_t>(centre.size());
        const bool masked =
            std::any_of(draw->time, draw->time + max_masks, [&](const Mask& mask) { return mask.covers(frame); });
        const float* from = x + (frame + frames - draw->roll) % frames * bands;
        const float *c = centre.data(), *s = scale.data(), *o = offset.data();
        if (masked) {
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f) row[f] = (add ? row[f] : 0.0f) + factor * fill;
        } else {
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f)
                row[f] = (add ? row[f] : 0.0f) + factor * ((from[f] - c[f]) * s[f] + o[f]);
        }
    }
};

} // namespace

void CpuBackend::draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames,
                                   int64_t bands) {
    check_rank(draws, 2, "draws");
    const int64_t batch = draws.shape[0];
    ClipDraw* out = clip_draws(draws, batch);
    const StepControl& state = step_control(control);
    for (int64_t n = 0; n < batch; ++n) out[n] = draw_clip(sampler, state.seed, state.step, n, batch, frames, bands);
}

void CpuBackend::band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x) {
    check_rank(x, 3, "x");
    const int64_t batch = x.shape[0], frames = x.shape[1], bands = x.shape[2];
    const float* values = floats(x, x.shape, "x");
    float* means = floats(mean, {batch, bands}, "mean");
    float* deviations = floats(deviation, {batch, bands}, "deviation");
    float* clip_means = floats(clip_mean, {batch}, "clip_mean");
    for_pieces(threads_, batch, 1, [&](int64_t n, int64_t) {
        static thread_local std::vector<double> sums;
        sums.assign(static_cast<size_t>(2 * bands), 0.0);
        double *sum = sums.data(), *squares = sum + bands;
        const float* clip = values + n * frames * bands;
        for (int64_t t = 0; t < frames; ++t) {
            // About the first frame, so that nothing cancels.
            const float* row = clip + t * bands;
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f) {
                const double value = static_cast<double>(row[f]) - static_cast<double>(clip[f]);
                sum[f] += value;
                squares[f] += value * value;
            }
        }
        double all = 0;
        const auto count = static_cast<double>(frames);
        for (int64_t f = 0; f < bands; ++f) {
            const double above = sum[f] / count, band = static_cast<double>(clip[f]) + above;
            const double variance = std::max(0.0, squares[f] / count - above * above);
            means[n * bands + f] = static_cast<float>(band);
            deviations[n * bands + f] = static_cast<float>(std::sqrt(variance + variance_floor));
            all += band;
        }
        clip_means[n] = static_cast<float>(all / static_cast<double>(bands));
    });
}

void CpuBackend::augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation, Tensor clip_mean) {
    check_rank(x, 3, "x");
    const int64_t batch = x.shape[0], frames = x.shape[1], bands = x.shape[2];
    float* out = floats(y, x.shape, "y");
    const float* values = floats(x, x.shape, "x");
    const ClipDraw* draw = clip_draws(draws, batch);
    const float* means = optional_floats(mean, {batch, bands}, "mean");
    const float* deviations = optional_floats(deviation, {batch, bands}, "deviation");
    const float* clip_means = optional_floats(clip_mean, {batch}, "clip_mean");
    const bool moments = means && deviations && clip_means;
    SCENE_CHECK(out != values, "augment_features does not work in place");

    std::vector<ChangedClip> clips(static_cast<size_t>(batch));
    for (int64_t n = 0; n < batch; ++n) {
        ChangedClip& clip = clips[static_cast<size_t>(n)];
        const ClipDraw &own = draw[n], &other = draw[own.style_partner];
        clip.x = values + n * frames * bands;
        clip.draw = &own;
        const auto size = static_cast<size_t>(bands);
        clip.centre.assign(size, 0.0f), clip.scale.assign(size, 1.0f), clip.offset.assign(size, own.gain);
        const float share = own.style_share;
        const auto mixed = [&](const float* of, int64_t row_elements, int64_t at) {
            return share * (of[n * row_elements + at] + own.gain) +
                   (1 - share) * (of[own.style_partner * row_elements + at] + other.gain);
        };
        if (share != 1.0f) {
            SCENE_CHECK(moments, "statistics are mixed, but the moments are absent");
            for (int64_t f = 0; f < bands; ++f) {
                const float deviation_of = deviations[n * bands + f];
                const auto band = static_cast<size_t>(f);
                clip.centre[band] = means[n * bands + f];
                clip.scale[band] =
                    (share * deviation_of + (1 - share) * deviations[own.style_partner * bands + f]) / deviation_of;
                clip.offset[band] = mixed(means, bands, f);
            }
        }
        const auto hides = [](const Mask& mask) { return mask.count > 0; };
        if (!std::any_of(own.time, own.time + max_masks, hides) &&
            !std::any_of(own.frequency, own.frequency + max_masks, hides))
            continue;
        SCENE_CHECK(moments, "features are masked, but the moments are absent");
        clip.fill = mixed(clip_means, 1, 0);
        for (const Mask& mask : own.frequency) {
            std::fill_n(clip.scale.begin() + mask.first, mask.count, 0.0f);
            std::fill_n(clip.offset.begin() + mask.first, mask.count, clip.fill);
        }
    }

    for_pieces(threads_, batch * frames, grain_for(bands), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const ChangedClip& clip = clips[static_cast<size_t>(row / frames)];
            const float share = clip.draw->mix_share;
            clip.write<false>(out + row * bands, row % frames, frames, share);
            if (share != 1.0f)
                clips[static_cast<size_t>(clip.draw->mix_partner)].write<true>(out + row * bands, row % frames, frames,
                                                                               1 - share);
        }
    });
}

void CpuBackend::mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws) {
    check_rank(target, 2, "target");
    const int64_t batch = target.shape[0], classes = target.shape[1];
    float* targets_out = floats(mixed_target, target.shape, "mixed_target");
    float* weights_out = floats(mixed_weight, {batch}, "mixed_weight");
    const float* targets = floats(target, target.shape, "target");
    const float* weights = floats(weight, {batch}, "weight");
    const ClipDraw* draw = clip_draws(draws, batch);
    SCENE_CHECK(targets_out != targets && weights_out != weights, "mix_targets does not work in place");
    for (int64_t n = 0; n < batch; ++n) {
        const int64_t partner = draw[n].mix_partner;
        const float share = draw[n].mix_share;
        const float own = share * weights[n], other = (1 - share) * weights[partner], sum = own + other;
        const float own_share = sum > 0 ? own / sum : share;
        weights_out[n] = sum;
        for (int64_t k = 0; k < classes; ++k)
            targets_out[n * classes + k] =
                own_share * targets[n * classes + k] + (1 - own_share) * targets[partner * classes + k];
    }
}

} // namespace scene::cpu
