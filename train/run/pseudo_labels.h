#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "train/config/config.h"
#include "train/evaluation/predictions.h"
#include "train/run/stages.h"

namespace scene {

/// The predictions of a stage's best model for the unlabelled clips, and which of them the next stage uses as labels.
struct PseudoLabels {
    std::vector<Prediction> predictions;
    std::vector<uint8_t> used; ///< one per prediction

    std::vector<Prediction> used_predictions() const;
};

/// Uses the predictions whose confidence (the largest probability) is at least settings.threshold, but of each class at
/// most settings.class_cap clips in `train`: the most confident ones, the first of equally confident ones. Clips that
/// are not in `train` are validation clips and are not capped. Throws Error if no clip in `train` reaches the
/// threshold.
PseudoLabels choose_pseudo_labels(std::vector<Prediction> predictions, std::span<const int32_t> train,
                                  const PseudoSettings& settings);

/// `clips` without the unlabelled clips whose row in `targets` [R, K] is zero: the clips on which a stage with these
/// targets trains and validates.
TrainingClips with_targets(TrainingClips clips, std::span<const float> targets, int64_t classes);

/// Multiplies the weights [R] of pseudo-labelled clips by the confidences of their labels, then scales the weights of
/// `members` to mean 1. Weights of other clips stay.
void weigh_by_confidence(std::vector<float>& weights, std::span<const Prediction> pseudo,
                         std::span<const int32_t> members);

/// Writes a CSV: filename,scene_label,confidence,used,stage (used: 1 or 0). Lines of other stages that are in the file
/// stay.
void write_pseudo_labels(const std::filesystem::path& file, int64_t stage, const PseudoLabels& labels,
                         const StoreColumns& columns);

} // namespace scene
