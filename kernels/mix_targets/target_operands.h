#pragma once

#include "kernels/draw_augmentation/clip_draws.h"
#include "kernels/mix_targets/mix_targets.h"

namespace scene {

/// The checked operands of mix_targets, the same for every device. Passed to kernels by value.
struct TargetOperands {
    int64_t clips, classes;
    float *mixed_target, *mixed_weight;
    const float *target, *weight;
    const ClipDraw* draws;

    explicit TargetOperands(const MixTargets<Tensor>& op) {
        check_rank(op.target, 2, "target");
        clips = op.target.shape[0], classes = op.target.shape[1];
        mixed_target = floats(op.mixed_target, op.target.shape, "mixed_target");
        mixed_weight = floats(op.mixed_weight, {clips}, "mixed_weight");
        target = floats(op.target, op.target.shape, "target");
        weight = floats(op.weight, {clips}, "weight");
        draws = clip_draws(op.draws, clips);
        SCENE_CHECK(mixed_target != target && mixed_weight != weight, "mix_targets does not work in place");
    }
};

} // namespace scene
