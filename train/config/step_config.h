#pragma once

// From a run's configuration to the network and the step that the trainer runs and `scene plan` shows.

#include <cstdint>
#include <string>

#include "kernels/log_mel/log_mel_spec.h"
#include "model/step.h"
#include "train/config/config.h"

namespace scene {

class FeatureStore;

/// The properties of a store that determine network and step.
struct StoreShape {
    std::string name; ///< for messages
    int64_t clips = 0, classes = 0, cities = 0;
    bool places_or_times = false; ///< at least one clip has a city or a time
    LogMelSpec spec;

    StoreShape() = default;
    StoreShape(const FeatureStore& store);
};

/// The network that `settings` describes on this store. Throws Error if the features are too small for it.
ModelConfig model_for(const ModelSettings& settings, const StoreShape& store);

/// The step that `config` describes on this store. Throws Error like model_for and augmentation_for.
StepConfig step_config(const RunConfig& config, const StoreShape& store);

} // namespace scene
