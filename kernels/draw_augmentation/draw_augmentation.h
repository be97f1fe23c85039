#pragma once

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/op.h"

namespace scene {

/// draws [N, sizeof(ClipDraw)] U8 = draw_clip(sampler, control.seed, control.step, n, N, frames, bands) for each clip n
/// of a batch (kernels/draw_augmentation/augmentation.h).
template <class T> struct DrawAugmentation {
    static constexpr std::string_view name = "draw_augmentation";
    Out<T> draws;
    In<T> control;
    AugmentationSampler sampler;
    int64_t frames, bands;
};

namespace reference {
void run(const DrawAugmentation<Tensor>&);
} // namespace reference
namespace cpu {
void run(const DrawAugmentation<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const DrawAugmentation<Tensor>&, Context&);
} // namespace cuda

} // namespace scene
