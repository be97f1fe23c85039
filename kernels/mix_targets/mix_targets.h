#pragma once

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/op.h"

namespace scene {

/// Mixup of targets and loss weights, with s = mix_share and m = mix_partner of clip n's draw:
///   mixed_weight[n] = s weight[n] + (1 - s) weight[m]
///   mixed_target[n] = (s weight[n] target[n] + (1 - s) weight[m] target[m])/mixed_weight[n]
/// If mixed_weight[n] is 0, mixed_target[n] = s target[n] + (1 - s) target[m]. The cross-entropy is linear in the
/// target, so the weighted loss of the mixed clip is s times that of n plus 1 - s times that of m, with label smoothing
/// too. target, mixed_target f32 [N, K]; weight, mixed_weight f32 [N]; draws as draw_augmentation writes them. Not in
/// place.
template <class T> struct MixTargets {
    static constexpr std::string_view name = "mix_targets";
    Out<T> mixed_target, mixed_weight;
    In<T> target, weight, draws;
};

namespace reference {
void run(const MixTargets<Tensor>&);
} // namespace reference
namespace cpu {
void run(const MixTargets<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const MixTargets<Tensor>&, Context&);
} // namespace cuda

} // namespace scene
