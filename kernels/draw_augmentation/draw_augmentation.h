#pragma once

#include "kernels/augmentation.h"
#include "kernels/op.h"

namespace scene {

/// draws U8 [N, sizeof(ClipDraw)] = draw_clip of every place in a batch of clips [T, F], by control.seed and
/// control.step (kernels/augmentation.h).
template <class T> struct DrawAugmentation {
    static constexpr std::string_view name = "draw_augmentation";
    Out<T> draws;
    In<T> control;
    AugmentationSampler sampler;
    int64_t frames, bands;
};

} // namespace scene
