#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "train/config/config.h"
#include "train/evaluation/predictions.h"
#include "train/run/stages.h"

namespace scene {

/// What a stage's best model says about the unlabelled clips, and which of it the next stage uses.
struct PseudoLabels {
    std::vector<Prediction> predictions;
    std::vector<uint8_t> used; ///< one per prediction

    std::vector<Prediction> used_predictions() const;
};

/// A prediction is used where its confidence (the largest probability) is at least settings.threshold. Of each class at
/// most settings.class_cap clips among `train` are: the most confident, of equally confident ones the first. Clips that
/// are not in `train` validate and are not capped. Fails when no clip in `train` is left.
PseudoLabels choose_pseudo_labels(std::vector<Prediction> predictions, std::span<const int32_t> train,
                                  const PseudoSettings& settings);

/// The division without the unlabelled clips that have no target in `targets` [R, K]: what a stage with these targets
/// trains and validates on.
TrainingClips with_targets(TrainingClips clips, std::span<const float> targets, int64_t classes);

/// Multiplies weights[clip] [R] by the confidence of each pseudo label, then scales the weights of `members` to mean 1.
void weigh_by_confidence(std::vector<float>& weights, std::span<const Prediction> pseudo,
                         std::span<const int32_t> members);

/// filename,scene_label,confidence,used,stage (used: 1 or 0); lines of other stages stay.
void write_pseudo_labels(const std::filesystem::path& file, int64_t stage, const PseudoLabels& labels,
                         const StoreColumns& columns);

} // namespace scene
