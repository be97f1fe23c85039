#pragma once

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/op.h"

namespace scene {

/// y [N, T, F] = s v(n) + (1 - s) v(m), with clip n's mix_share s and mix_partner m; x and y f32 and apart.
/// v(n) is, with style_share r, style_partner p and m(n) = mean[n] + gain of n:
///   outside of n's masks  (x[n, (t - roll) mod T, f] - mean[n]) (r dev[n] + (1 - r) dev[p])/dev[n]
///                         + r m(n) + (1 - r) m(p); where r is 1, x + gain
///   inside                the same clip's mean: the second line with clip_mean in place of mean.
/// The moments are those of x (band_moments): all three, or none where the draws neither mask nor mix statistics.
template <class T> struct AugmentFeatures {
    static constexpr std::string_view name = "augment_features";
    Out<T> y;
    In<T> x, draws;
    OptionalIn<T> mean{}, deviation{}, clip_mean{};
    Scratch<T> scratch{};
};

namespace reference {
void run(const AugmentFeatures<Tensor>&);
} // namespace reference
namespace cpu {
void run(const AugmentFeatures<Tensor>&, Context&);
size_t scratch_bytes(const AugmentFeatures<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const AugmentFeatures<Tensor>&, Context&);
} // namespace cuda

} // namespace scene
