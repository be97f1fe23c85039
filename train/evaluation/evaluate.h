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

/// Predictions for N clips, in the order in which they were given. Classes are numbered as in the model.
struct Evaluation {
    std::vector<std::string> classes;       ///< the model's, K
    Confusion confusion;                    ///< over the labelled clips
    std::vector<PartScore> cities, devices; ///< over the labelled clips; empty if the store knows no cities or devices
    std::vector<int32_t> truth;             ///< [N]; -1: unlabelled
    std::vector<float> probabilities;       ///< [N, K]
    std::vector<float> embeddings;          ///< [N, D], the classifier's input; empty if not requested
};

/// `path` itself if it is a file; in a run folder, the best model of the highest stage there is. Throws Error if there
/// is none.
std::filesystem::path find_checkpoint(const std::filesystem::path& path);

/// Predicts the clips `rows` of the store. Classes and cities of store and model are matched by name. A city that the
/// model does not know counts as unknown. Throws Error if the features of the checkpoint are not the store's, if its
/// weights are not finite, or if a clip has a class that the model does not know; Interrupted if session.stop is set.
Evaluation evaluate(Device& device, const std::filesystem::path& checkpoint, const FeatureStore& store,
                    std::span<const int32_t> rows, const Session& session, int64_t batch = 64, bool embeddings = false);

} // namespace scene
