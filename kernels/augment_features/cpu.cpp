#include "kernels/augment_features/augment_features.h"

#include <algorithm>

#include "kernels/augment_features/feature_operands.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

/// v(n) of the contract for every clip of a batch. Gain, Freq-MixStyle and frequency masks are one affine map per band,
/// (x - centre)*scale + offset; roll and time masks select the frame.
class ChangedClips {
public:
    static size_t bytes(const Shape& x) { return static_cast<size_t>(x[0] * (3 * x[2] + 1)) * sizeof(float); }

    /// `memory`: bytes(x).
    ChangedClips(const FeatureOperands& batch, float* memory)
        : batch_(batch), centre_(memory), scale_(centre_ + batch.clips * batch.bands),
          offset_(scale_ + batch.clips * batch.bands), fill_(offset_ + batch.clips * batch.bands) {
        for (int64_t n = 0; n < batch.clips; ++n) prepare(n);
    }

    /// row [F] = factor*v(n) at one frame; += with `add`.
    template <bool add> void write(float* row, int64_t n, int64_t frame, float factor) const {
        const int64_t bands = batch_.bands, frames = batch_.frames;
        const ClipDraw& draw = batch_.draws[n];
        const bool masked =
            std::any_of(draw.time, draw.time + max_masks, [&](const Mask& mask) { return mask.covers(frame); });
        const float* from = batch_.x + (n * frames + (frame + frames - draw.roll) % frames) * bands;
        const float *c = centre_ + n * bands, *s = scale_ + n * bands, *o = offset_ + n * bands;
        const float* fill = fill_ + n;
        if (masked) {
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f) row[f] = (add ? row[f] : 0.0f) + factor * *fill;
        } else {
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f)
                row[f] = (add ? row[f] : 0.0f) + factor * ((from[f] - c[f]) * s[f] + o[f]);
        }
    }

private:
    void prepare(int64_t n) {
        const ClipDraw &own = batch_.draws[n], &other = batch_.draws[own.style_partner];
        const int64_t bands = batch_.bands;
        const float *means = batch_.mean, *deviations = batch_.deviation;
        float *c = centre_ + n * bands, *s = scale_ + n * bands, *o = offset_ + n * bands;
        std::fill_n(c, bands, 0.0f), std::fill_n(s, bands, 1.0f), std::fill_n(o, bands, own.gain);
        fill_[n] = 0;
        const float share = own.style_share;
        const auto mixed = [&](const float* of, int64_t row_elements, int64_t at) {
            return share * (of[n * row_elements + at] + own.gain) +
                   (1 - share) * (of[own.style_partner * row_elements + at] + other.gain);
        };
        if (share != 1.0f) {
            SCENE_CHECK(means, "statistics are mixed, but the moments are absent");
            for (int64_t f = 0; f < bands; ++f) {
                const float deviation = deviations[n * bands + f];
                c[f] = means[n * bands + f];
                s[f] = (share * deviation + (1 - share) * deviations[own.style_partner * bands + f]) / deviation;
                o[f] = mixed(means, bands, f);
            }
        }
        const auto hides = [](const Mask& mask) { return mask.count > 0; };
        if (!std::any_of(own.time, own.time + max_masks, hides) &&
            !std::any_of(own.frequency, own.frequency + max_masks, hides))
            return;
        SCENE_CHECK(means, "features are masked, but the moments are absent");
        fill_[n] = mixed(batch_.clip_mean, 1, 0);
        for (const Mask& mask : own.frequency) {
            std::fill_n(s + mask.first, mask.count, 0.0f);
            std::fill_n(o + mask.first, mask.count, fill_[n]);
        }
    }

    const FeatureOperands& batch_;
    float *centre_, *scale_, *offset_; ///< [clips, bands]
    float* fill_;                      ///< [clips]: the value inside of masks
};

} // namespace

size_t scratch_bytes(const AugmentFeatures<TensorSpec>& op, const Planning&) { return ChangedClips::bytes(op.x.shape); }

void run(const AugmentFeatures<Tensor>& op, Context& cpu) {
    const FeatureOperands batch(op);
    const ChangedClips clips(batch, scratch_of<float>(op.scratch, ChangedClips::bytes(op.x.shape)));
    for_chunks(cpu.threads, batch.clips * batch.frames, grain_for(batch.bands), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t n = row / batch.frames, frame = row % batch.frames;
            const float share = batch.draws[n].mix_share;
            float* to = batch.y + row * batch.bands;
            clips.write<false>(to, n, frame, share);
            if (share != 1.0f) clips.write<true>(to, batch.draws[n].mix_partner, frame, 1 - share);
        }
    });
}

} // namespace scene::cpu
