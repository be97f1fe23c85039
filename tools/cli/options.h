#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "kernels/device.h"
#include "tools/cli/command_line.h"
#include "train/config/config.h"

namespace scene {

/// The flags that every subcommand has. What is absent was not given: the config file's value, or the default, holds.
struct CommonOptions {
    std::optional<std::string> device, precision;
    std::optional<int64_t> threads;
    std::optional<uint64_t> seed;
    bool quiet = false, json = false;

    /// [runtime] with the flags applied.
    RuntimeSettings runtime(RuntimeSettings base = {}) const;
};

void add_common_options(Arguments& arguments, CommonOptions& options);

/// --config, --set and the flags that stand for a setting.
struct ConfigOptions {
    std::string file;
    std::vector<std::string> overrides; ///< "section.key=value"
};

void add_config_options(Arguments& arguments, ConfigOptions& options, bool required);

/// Defaults < file < --set < the common flags (--seed is training.seed).
RunConfig load_config(const ConfigOptions& options, const CommonOptions& common);

/// What a GPU is to do about precision and determinism.
CudaSettings cuda_settings(const RuntimeSettings& runtime);

/// The device that `runtime` names. "auto" takes the CPU where no GPU can be used; where there is one that this build
/// is for, it says why, once, on stderr unless `quiet`. Fails for a device or precision that this build or machine does
/// not have.
std::unique_ptr<Device> open_device(const RuntimeSettings& runtime, bool quiet);

} // namespace scene
