#include "kernels/augment_features/augment_features.h"

#include <algorithm>

#include "kernels/draw_augmentation/clip_draws.h"
#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> struct Batch {
    int64_t frames, bands;
    const Real *x, *mean, *deviation, *clip_mean;
    const ClipDraw* draws;

    static bool covers(const Mask (&masks)[max_masks], int64_t place) {
        return std::any_of(masks, masks + max_masks, [&](const Mask& mask) { return mask.covers(place); });
    }
    /// v(n) of the contract.
    Real changed(int64_t n, int64_t t, int64_t f) const {
        const ClipDraw &own = draws[n], &other = draws[own.style_partner];
        const Real share = own.style_share, rest = 1 - share, gain = own.gain, other_gain = other.gain;
        if (covers(own.time, t) || covers(own.frequency, f))
            return share * (clip_mean[n] + gain) + rest * (clip_mean[own.style_partner] + other_gain);
        const Real value = x[(n * frames + (t + frames - own.roll) % frames) * bands + f];
        if (share == 1) return value + gain;
        const int64_t at = n * bands + f, other_at = own.style_partner * bands + f;
        return (value - mean[at]) * (share * deviation[at] + rest * deviation[other_at]) / deviation[at] +
               share * (mean[at] + gain) + rest * (mean[other_at] + other_gain);
    }
};

template <typename Real> void augment(const AugmentFeatures<Tensor>& op) {
    const int64_t clips = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
    const Batch<Real> batch{frames,
                            bands,
                            values<Real>(op.x),
                            values<Real>(op.mean),
                            values<Real>(op.deviation),
                            values<Real>(op.clip_mean),
                            clip_draws(op.draws, clips)};
    for (int64_t n = 0; n < clips; ++n)
        for (int64_t t = 0; t < frames; ++t)
            for (int64_t f = 0; f < bands; ++f) {
                const ClipDraw& draw = batch.draws[n];
                const Real share = draw.mix_share;
                Real& y = values<Real>(op.y)[(n * frames + t) * bands + f];
                y = share * batch.changed(n, t, f);
                if (share != 1) y += (1 - share) * batch.changed(draw.mix_partner, t, f);
            }
}

} // namespace

void run(const AugmentFeatures<Tensor>& op) {
    with_real(op.x, [&](auto real) { augment<decltype(real)>(op); });
}

} // namespace scene::reference
