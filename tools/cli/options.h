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

/// The flags that every subcommand has. An absent one leaves the value of the configuration file, or the default.
struct CommonOptions {
    std::optional<std::string> device, precision;
    std::optional<int64_t> threads;
    std::optional<uint64_t> seed;
    bool quiet = false, json = false;

    /// [runtime] with the flags applied.
    RuntimeSettings runtime(RuntimeSettings base = {}) const;
};

void add_common_options(Arguments& arguments, CommonOptions& options);

/// --config and --set.
struct ConfigOptions {
    std::string file;
    std::vector<std::string> overrides; ///< "section.key=value"
};

void add_config_options(Arguments& arguments, ConfigOptions& options, bool required);

/// Defaults < file < --set < the common flags (--seed is training.seed).
RunConfig load_config(const ConfigOptions& options, const CommonOptions& common);

/// The settings of [runtime] that a GPU has.
CudaSettings cuda_settings(const RuntimeSettings& runtime);

/// Opens the device that `runtime` names. "auto" takes a GPU if it can be used, else the CPU. If this build has CUDA
/// and the machine has an NVIDIA driver, a note on stderr says why the GPU is not used, unless `quiet`. Fails for a
/// device or precision that this build or machine does not have.
std::unique_ptr<Device> open_device(const RuntimeSettings& runtime, bool quiet);

} // namespace scene
