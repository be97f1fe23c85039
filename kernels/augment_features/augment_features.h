#pragma once

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/op.h"

namespace scene {

/// Applies the draws of draw_augmentation to a batch of features x [N, T, F] f32: roll, gain, Freq-MixStyle, masks and
/// mixup (kernels/draw_augmentation/augmentation.h has the sources). draws U8 [N, sizeof(ClipDraw)]. Not in place.
///
/// Mixup: y[n] = s v(n) + (1 - s) v(m), where s is the mix_share and m the mix_partner of clip n.
///
/// v(n) is clip n after all other steps. With its roll, style_share r and style_partner p, and the means after the
/// gain, mu(i) = mean[i] + gain of i and nu(i) = clip_mean[i] + gain of i:
///
///   v(n)[t, f] = r nu(n) + (1 - r) nu(p)                                                      inside of n's masks
///   v(n)[t, f] = (x[n, (t - roll) mod T, f] - mean[n, f]) q + r mu(n)[f] + (1 - r) mu(p)[f]   elsewhere
///            q = (r deviation[n, f] + (1 - r) deviation[p, f])/deviation[n, f]
///
/// If r = 1, the second line is x + gain of n and is computed so.
///
/// mean and deviation [N, F] and clip_mean [N], f32, are the moments of x from band_moments. Either all three are
/// given, or none; they may be absent if no draw has a mask or a style_share below 1.
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
/// std::logic_error if a draw needs moments that are absent.
void run(const AugmentFeatures<Tensor>&, Context&);
size_t scratch_bytes(const AugmentFeatures<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
/// At most 65535 clips. Does not check that the moments are there if a draw needs them: without them a kernel reads
/// address 0.
void run(const AugmentFeatures<Tensor>&, Context&);
} // namespace cuda

} // namespace scene
