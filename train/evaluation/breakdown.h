#pragma once

#include <span>
#include <string>
#include <vector>

#include "train/evaluation/predictions.h"
#include "train/metrics.h"

namespace scene {

/// The confusion matrix of the labelled clips of one city or one device.
struct PartScore {
    std::string name; ///< "(unknown)" for clips whose city or device is unknown
    Confusion confusion;
    bool operator==(const PartScore&) const = default;
};

/// One entry per city (device) of the labelled clips, sorted by name, then one for unknown. Empty if all are unknown.
std::vector<PartScore> scores_by_city(std::span<const Prediction> predictions, const StoreColumns& columns);
std::vector<PartScore> scores_by_device(std::span<const Prediction> predictions, const StoreColumns& columns);

} // namespace scene
