#pragma once

#include "kernels/augment_features/augment_features.h"
#include "kernels/draw_augmentation/clip_draws.h"

namespace scene {

/// The operands of AugmentFeatures, checked. The same for every device.
struct FeatureOperands {
    int64_t clips, frames, bands;
    float* y;
    const float* x;
    const ClipDraw* draws;
    const float *mean, *deviation, *clip_mean; ///< null where the moments are absent

    explicit FeatureOperands(const AugmentFeatures<Tensor>& op) {
        check_rank(op.x, 3, "x");
        clips = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
        y = floats(op.y, op.x.shape, "y");
        x = floats(op.x, op.x.shape, "x");
        draws = clip_draws(op.draws, clips);
        mean = optional_floats(op.mean, {clips, bands}, "mean");
        deviation = optional_floats(op.deviation, {clips, bands}, "deviation");
        clip_mean = optional_floats(op.clip_mean, {clips}, "clip_mean");
        SCENE_CHECK(!mean == !deviation && !mean == !clip_mean, "some of the moments are absent");
        SCENE_CHECK(y != x, "augment_features does not work in place");
    }
};

} // namespace scene
