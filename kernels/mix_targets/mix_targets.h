#pragma once

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/op.h"

namespace scene {

/// mixed_weight [N] = s weight[n] + (1 - s) weight[m], mixed_target [N, K] = (s weight[n] target[n] +
/// (1 - s) weight[m] target[m])/mixed_weight (without the weights where that is 0), f32, with clip n's mix_share s and
/// mix_partner m. So the loss of a mixed clip, smoothed or not, is s times that of n and 1 - s times that of m, each
/// with its own weight. Outputs and inputs apart.
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
