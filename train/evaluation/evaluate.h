#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "train/evaluation/breakdown.h"
#include "train/metrics.h"
#include "train/progress.h"

namespace scene {

class FeatureStore;

struct Evaluation {
    std::vector<std::string> classes;       ///< the model's; all that follows counts them so
    Confusion confusion;                    ///< over the labelled clips among them
    std::vector<PartScore> cities, devices; ///< the same clips, where the store knows cities or devices
    std::vector<int32_t> truth;             ///< the class of each clip asked for, -1: unlabelled
    /// One row of K class probabilities per clip asked for.
    std::vector<float> probabilities;
    /// One row of the features that the classifier reads per clip asked for, where they were asked for.
    std::vector<float> embeddings;
};

/// A run folder's best model of its last stage, or `path` itself when it is a file.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);

/// Predicts the clips `rows` of the store. Its classes are matched with the model's by name: it may have some of them,
/// in any order. Fails if the checkpoint's features are not the store's, or a clip is of a class the model does not
/// know. A city the model does not know is "unknown".
Evaluation evaluate(Device& device, const std::filesystem::path& checkpoint, const FeatureStore& store,
                    std::span<const int32_t> rows, const Session& session, int64_t batch = 64, bool embeddings = false);

} // namespace scene
