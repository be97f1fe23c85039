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

/// The split that `settings` asks for: made from the clips, or read from a file when the name ends in .json.
Split split_of(const StoreColumns& columns, const SplitSettings& settings);

/// Takes the stages away that need unlabelled clips where the split has none. Returns one line that says so, or
/// nothing.
std::string fit_stages(RunConfig& config, const Split& split);

/// The training clips of a split, divided once into what trains and what chooses the epoch, for all stages. Ascending.
struct TrainingClips {
    ValidationSplit labelled, unlabelled;
    std::string note; ///< why the validation keeps no groups whole, where the split does; else empty

    /// What the stage trains on: labelled clips, and from stage 2 on the pseudo-labelled ones behind them.
    std::vector<int32_t> train(int64_t stage) const;
    /// Every batch size the stages need: full batches and the remainders.
    std::vector<int64_t> batches(const TrainingSettings& settings) const;
};

/// Holds out settings.validation_share of every class and of the unlabelled clips, as settings.validation says. Fails
/// when the labelled clips are of fewer than two classes or a labelled part ends up empty.
TrainingClips divide_training_clips(const FeatureStore& store, const Split& split, const TrainingSettings& settings);

/// Where the clips of an epoch stand: a shuffle that depends on (seed, stage, epoch) only.
std::vector<int32_t> epoch_order(std::span<const int32_t> clips, uint64_t seed, int64_t stage, int64_t epoch);

/// Key of a stage's dropout masks.
uint64_t stage_seed(uint64_t seed, int64_t stage);

/// Rows [R, K]: one-hot for the split's labelled clips with the store's labels and for `pseudo`; zeros elsewhere, so
/// that no test label is ever near the training. With `distributions` [R, K] the pseudo-labelled clips get their rows
/// of it instead.
std::vector<float> stage_targets(const FeatureStore& store, const Split& split, std::span<const Prediction> pseudo,
                                 std::span<const float> distributions = {});

} // namespace scene
