#pragma once

// A checkpoint's metadata (model/checkpoint.h): everything but the numbers.

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
    std::string fit_rule; ///< how audio of another length is fitted (data/audio/audio.h)
    std::vector<std::string> classes, cities;
    std::string system;
    std::map<std::string, std::string> training; ///< "stage", "epoch", "validation_balanced_accuracy", ...

    bool operator==(const CheckpointInfo&) const = default;
};

Metadata checkpoint_metadata(const CheckpointInfo& info);

/// Fails when the file is not a checkpoint of ours, is of a newer version, or lacks a setting.
CheckpointInfo read_checkpoint_info(const SafetensorsFile& file);

} // namespace scene
