#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/store/feature_store.h"
#include "train/metrics.h"

namespace scene {

/// A model's prediction for one clip of a store.
struct Prediction {
    int32_t clip = 0;
    int32_t label = 0;    ///< the most probable class; the first of equal maxima
    float confidence = 0; ///< its probability
};

/// Predictions of `clips` from `probabilities` [all clips of the store, K].
std::vector<Prediction> predictions_of(std::span<const float> probabilities, std::span<const int32_t> clips,
                                       int64_t classes);

/// Predictions against the labels; clips without a label are not counted.
Confusion confusion_of(std::span<const Prediction> predictions, const StoreColumns& columns);

/// Writes a CSV in the challenges' submission format: filename,scene_label.
void write_predictions(const std::filesystem::path& file, std::span<const Prediction> predictions,
                       const StoreColumns& columns);

/// A training clip on which the teacher's confidence is low.
struct HardClip {
    int32_t clip = 0;
    float confidence = 0, weight = 0; ///< the teacher's confidence; the clip's weight in the loss
};
/// Writes a CSV: stage,filename,confidence,weight. Lines of other stages that are in the file stay.
void write_hard_samples(const std::filesystem::path& file, int64_t stage, std::span<const HardClip> clips,
                        const StoreColumns& columns);
/// The number of lines of the stage; 0 if there is no file.
int64_t count_hard_samples(const std::filesystem::path& file, int64_t stage);

} // namespace scene
