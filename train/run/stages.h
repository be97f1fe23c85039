#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/splits/splits.h"
#include "data/store/feature_store.h"
#include "train/config/config.h"
#include "train/evaluation/predictions.h"

namespace scene {

/// The split that `settings` describes: made from the clips, or read from a file if its name ends in .json.
Split split_of(const StoreColumns& columns, const SplitSettings& settings);

/// Sets training.stages to 1 if the split has no unlabelled clips. Returns one line that says so, or "".
std::string fit_stages(RunConfig& config, const Split& split);

/// The training clips of a split, divided once for all stages into training and validation clips. Ascending.
struct TrainingClips {
    ValidationSplit labelled, unlabelled;
    std::string note; ///< why the validation does not keep groups whole although the split does; else empty

    /// The clips on which a stage trains: the labelled ones and, from stage 2 on, the pseudo-labelled ones after them.
    std::vector<int32_t> train(int64_t stage) const;
    /// Every batch size that the stages need: full batches and remainders. Ascending.
    std::vector<int64_t> batches(const TrainingSettings& settings) const;
};

/// Holds out settings.validation_share of every class and of the unlabelled clips, in the way of settings.validation.
/// Throws Error if the labelled clips are of fewer than two classes, if there are too few of them, or if
/// settings.validation asks for whole sessions or cities and that is impossible.
TrainingClips divide_training_clips(const FeatureStore& store, const Split& split, const TrainingSettings& settings);

/// `clips` in the order of an epoch: a shuffle by (seed, stage, epoch).
std::vector<int32_t> epoch_order(std::span<const int32_t> clips, uint64_t seed, int64_t stage, int64_t epoch);

/// The key of a stage's random numbers on the device: dropout masks and augmentation.
uint64_t stage_seed(uint64_t seed, int64_t stage);

/// The table of targets [R, K] of a stage: one-hot rows for the split's labelled clips (labels of the store) and for
/// `pseudo`, zeros elsewhere, so that no test label is in the table. With `distributions` [R, K] the pseudo-labelled
/// clips have its rows instead (soft labels). Throws Error if a labelled clip of the split has no label in the store.
std::vector<float> stage_targets(const FeatureStore& store, const Split& split, std::span<const Prediction> pseudo,
                                 std::span<const float> distributions = {});

} // namespace scene
