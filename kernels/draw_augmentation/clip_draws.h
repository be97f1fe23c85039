#pragma once

#include "kernels/draw_augmentation/augmentation.h"
#include "kernels/operands.h"

namespace scene {

/// The checked draws of a batch, as draw_augmentation writes them.
inline ClipDraw* clip_draws(const Tensor& draws, int64_t batch) {
    check_tensor(draws, DType::U8, {batch, sizeof(ClipDraw)}, "draws");
    SCENE_CHECK(reinterpret_cast<uintptr_t>(draws.data) % alignof(ClipDraw) == 0, "draws are not aligned");
    return static_cast<ClipDraw*>(draws.data);
}

} // namespace scene
