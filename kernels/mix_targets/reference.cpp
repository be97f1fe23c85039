#include "kernels/mix_targets/mix_targets.h"

#include "kernels/draw_augmentation/clip_draws.h"
#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void mix(const MixTargets<Tensor>& op) {
    const int64_t clips = op.target.shape[0], classes = op.target.shape[1];
    const Real *target = values<Real>(op.target), *weight = values<Real>(op.weight);
    for (int64_t n = 0; n < clips; ++n) {
        const ClipDraw& draw = clip_draws(op.draws, clips)[n];
        const int64_t partner = draw.mix_partner;
        const Real share = draw.mix_share, mixed = share * weight[n] + (1 - share) * weight[partner];
        values<Real>(op.mixed_weight)[n] = mixed;
        for (int64_t k = 0; k < classes; ++k) {
            const Real own = target[n * classes + k], other = target[partner * classes + k];
            values<Real>(op.mixed_target)[n * classes + k] =
                mixed > 0 ? (share * weight[n] * own + (1 - share) * weight[partner] * other) / mixed
                          : share * own + (1 - share) * other;
        }
    }
}

} // namespace

void run(const MixTargets<Tensor>& op) {
    with_real(op.target, [&](auto real) { mix<decltype(real)>(op); });
}

} // namespace scene::reference
