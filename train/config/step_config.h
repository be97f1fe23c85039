#pragma once

// What a run's settings become: the network and the step that the trainer runs and `scene plan` shows.

#include <cstdint>
#include <string>

#include "kernels/log_mel/log_mel_spec.h"
#include "model/step.h"
#include "train/config/config.h"

namespace scene {

class FeatureStore;

/// What of a store decides the shape of a network and of its step.
struct StoreShape {
    std::string name; ///< for messages
    int64_t clips = 0, classes = 0, cities = 0;
    bool places_or_times = false; ///< some clip has a city or a time
    LogMelSpec spec;

    StoreShape() = default;
    StoreShape(const FeatureStore& store);
};

/// The network `settings` describes on this store.
ModelConfig model_for(const ModelSettings& settings, const StoreShape& store);

/// The step that `config` describes on this store.
StepConfig step_config(const RunConfig& config, const StoreShape& store);

} // namespace scene
