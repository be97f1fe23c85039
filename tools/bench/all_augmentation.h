#pragma once

#include "kernels/draw_augmentation/augmentation.h"

namespace scene {

/// Every augmentation, with values that are in use.
constexpr Augmentation all_augmentation{.roll = 5,
                                        .gain = 6,
                                        .style_probability = 1,
                                        .style_alpha = 0.3f,
                                        .frequency_masks = 2,
                                        .frequency_mask = 8,
                                        .time_masks = 2,
                                        .time_mask = 32,
                                        .mixup_probability = 1,
                                        .mixup_alpha = 0.3f};

} // namespace scene
