#pragma once

// A checkpoint's metadata (model/checkpoint.h): everything but the tensors.

#include <map>
#include <string>
#include <vector>

#include "kernels/files/safetensors.h"
#include "kernels/log_mel/log_mel_spec.h"
#include "model/model_config.h"

namespace scene {

struct CheckpointInfo {
    ModelConfig model;
    LogMelSpec features;
    std::string fit_rule; ///< how audio is brought to the length of the features (data/audio/audio.h)
    std::vector<std::string> classes, cities;
    std::string system;                          ///< RunConfig::system
    std::map<std::string, std::string> training; ///< "stage", "epoch", "best_validation_balanced_accuracy", ...

    bool operator==(const CheckpointInfo&) const = default;
};

Metadata checkpoint_metadata(const CheckpointInfo& info);

/// Throws Error if the file is not a checkpoint of scene, has a newer version, or a setting is missing or invalid.
CheckpointInfo read_checkpoint_info(const SafetensorsFile& file);

} // namespace scene
