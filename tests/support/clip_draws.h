#pragma once

// Augmentation's draws, as operands in the tests of ops.

#include "tests/support/op_test.h"

namespace scene::test {

/// All parts of augmentation at once.
inline const Augmentation everything{.roll = 7,
                                     .gain = 3,
                                     .style_probability = 1,
                                     .style_alpha = 0.4f,
                                     .frequency_masks = 2,
                                     .frequency_mask = 3,
                                     .time_masks = 3,
                                     .time_mask = 6,
                                     .mixup_probability = 0.7f,
                                     .mixup_alpha = 0.3f};

/// What the reference of draw_augmentation draws for `clips` [N, T, F], at the seed and step of `control`.
inline HostArray draws_for(const Augmentation& settings, const Shape& clips, const StepControl& control) {
    return run_reference(DrawAugmentation<HostArray>{.draws = empty({clips[0], sizeof(ClipDraw)}, DType::U8),
                                                     .control = control_of(control),
                                                     .sampler = AugmentationSampler(settings),
                                                     .frames = clips[1],
                                                     .bands = clips[2]})
        .draws;
}

inline std::vector<ClipDraw> draws_in(const HostArray& draws) {
    std::vector<uint8_t> bytes(draws.values.begin(), draws.values.end());
    std::vector<ClipDraw> out(bytes.size() / sizeof(ClipDraw));
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
}

} // namespace scene::test
