#include "kernels/augment_features/augment_features.h"

#include <algorithm>

#include "kernels/augment_features/feature_operands.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

/// Each clip of a batch, outside of its time masks, as (x - centre)*scale + offset for every band.
class ChangedClips {
public:
    static size_t bytes(const Shape& x) { return static_cast<size_t>(x[0] * (3 * x[2] + 1)) * sizeof(float); }

    /// `memory`: bytes(x).
    ChangedClips(const FeatureOperands& batch, float* memory)
        : batch_(batch), centre_(memory), scale_(centre_ + batch.clips * batch.bands),
          offset_(scale_ + batch.clips * batch.bands), fill_(offset_ + batch.clips * batch.bands) {
        for (int64_t n = 0; n < batch.clips; ++n) prepare(n);
    }

    /// row [F] = or += factor times clip n's frame.
    template <bool add> void write(float* row, int64_t n, int64_t frame, float factor) const {
        const int64_t bands = batch_.bands, frames = batch_.frames;
        const ClipDraw& draw = batch_.draws[n];
        const bool masked =
            std::any_of(draw.time, draw.time + max_masks, [&](const Mask& mask) { return mask.covers(frame); });
        const float* from = batch_.x + (n * frames + (frame + frames - draw.roll) % frames) * bands;
        const float *c = centre_ + n * bands, *s = scale_ + n * bands, *o = offset_ + n * bands;
        const float fill = fill_[n];
        if (masked) {
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f) row[f] = (add ? row[f] : 0.0f) + factor * fill;
        } else {
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f)
                row[f] = (add ? row[f] : 0.0f) + factor * ((from[f] - c[f]) * s[f] + o[f]);
        }
    }

private:
    void prepare(int64_t n) {
        const ClipDraw& own = batch_.draws[n];
        const int64_t bands = batch_.bands, partner = own.style_partner;
        float *c = centre_ + n * bands, *s = scale_ + n * bands, *o = offset_ + n * bands;
        std::fill_n(c, bands, 0.0f), std::fill_n(s, bands, 1.0f), std::fill_n(o, bands, own.gain);
        fill_[n] = 0;
        const float share = own.style_share, other_gain = batch_.draws[partner].gain;
        const auto mixed = [&](float of_own, float of_partner) {
            return share * (of_own + own.gain) + (1 - share) * (of_partner + other_gain);
        };
        if (share != 1.0f) {
            SCENE_CHECK(batch_.mean, "statistics are mixed, but the moments are absent");
            const float *mean = batch_.mean + n * bands, *other_mean = batch_.mean + partner * bands;
            const float *deviation = batch_.deviation + n * bands, *other = batch_.deviation + partner * bands;
            for (int64_t f = 0; f < bands; ++f) {
                c[f] = mean[f];
                s[f] = (share * deviation[f] + (1 - share) * other[f]) / deviation[f];
                o[f] = mixed(mean[f], other_mean[f]);
            }
        }
        const auto hides = [](const Mask& mask) { return mask.count > 0; };
        if (!std::any_of(own.time, own.time + max_masks, hides) &&
            !std::any_of(own.frequency, own.frequency + max_masks, hides))
            return;
        SCENE_CHECK(batch_.mean, "features are masked, but the moments are absent");
        fill_[n] = mixed(batch_.clip_mean[n], batch_.clip_mean[partner]);
        for (const Mask& mask : own.frequency) {
            std::fill_n(s + mask.first, mask.count, 0.0f);
            std::fill_n(o + mask.first, mask.count, fill_[n]);
        }
    }

    const FeatureOperands& batch_;
    float *centre_, *scale_, *offset_; ///< [clips, bands]
    float* fill_;                      ///< [clips]: inside of masks
};

} // namespace

size_t scratch_bytes(const AugmentFeatures<TensorSpec>& op, const Planning&) { return ChangedClips::bytes(op.x.shape); }

void run(const AugmentFeatures<Tensor>& op, Context& cpu) {
    const FeatureOperands batch(op);
    const ChangedClips clips(batch, scratch_of<float>(op.scratch, ChangedClips::bytes(op.x.shape)));
    for_pieces(cpu.threads, batch.clips * batch.frames, grain_for(batch.bands), [&](int64_t begin, int64_t end) {
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
