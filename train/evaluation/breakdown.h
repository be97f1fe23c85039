#pragma once

#include <span>
#include <string>
#include <vector>

#include "train/evaluation/predictions.h"
#include "train/metrics.h"

namespace scene {

/// The labelled clips of one city or one device, true class against predicted class.
struct PartScore {
    std::string name; ///< "(unknown)" for clips of no known city or device
    Confusion confusion;
    bool operator==(const PartScore&) const = default;
};

/// One entry per city (device) that occurs among the labelled clips, sorted by name, the unknown ones last. Empty where
/// the store knows none of them.
std::vector<PartScore> scores_by_city(std::span<const Prediction> predictions, const StoreColumns& columns);
std::vector<PartScore> scores_by_device(std::span<const Prediction> predictions, const StoreColumns& columns);

} // namespace scene
