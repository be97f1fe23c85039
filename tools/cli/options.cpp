#include "tools/cli/options.h"

#include <filesystem>

#include "tools/cli/note.h"

namespace scene {
namespace {

/// Whether an NVIDIA driver is loaded. Without one, running on the CPU needs no explanation.
bool has_nvidia_device() {
    std::error_code ignored;
    return std::filesystem::exists("/dev/nvidiactl", ignored);
}

} // namespace

RuntimeSettings CommonOptions::runtime(RuntimeSettings base) const {
    if (device) base.device = value_named(device_choices, *device);
    if (precision) base.precision = value_named(precisions, *precision);
    if (threads) base.threads = *threads;
    return base;
}

void add_common_options(Arguments& arguments, CommonOptions& options) {
    const std::string group = "Common options";
    arguments.add("--device", options.device, "where to run; auto: a GPU if there is one")
        .choices(names_of(device_choices))
        .group(group);
    arguments.add("--precision", options.precision, "of the arithmetic; the CPU has fp32 only")
        .choices(names_of(precisions))
        .group(group);
    arguments.add("--threads", options.threads, "CPU threads; 0: all cores").range(0, 4096).group(group);
    arguments.add("--seed", options.seed, "of every random draw").group(group);
    arguments.add_flag("--quiet,-q", options.quiet, "no progress and no notes on stderr").group(group);
    arguments.add_flag("--json", options.json, "the result as JSON on stdout").group(group);
}

void add_config_options(Arguments& arguments, ConfigOptions& options, bool required) {
    OptionHandle file = arguments.add("--config,-c", options.file, "TOML file, such as configs/system4.toml");
    if (required) file.required();
    arguments.add_list("--set", options.overrides, "section.key=value; overrides the file; may be repeated");
    for (const std::string& key : config_keys())
        arguments.add_hint({"--" + key.substr(key.rfind('.') + 1), fmt::format("--set {}=...", key)});
}

RunConfig load_config(const ConfigOptions& options, const CommonOptions& common) {
    RunConfig config = load_config(options.file, options.overrides);
    if (common.seed) config.training.seed = *common.seed;
    config.runtime = common.runtime(config.runtime);
    return config;
}

CudaSettings cuda_settings(const RuntimeSettings& runtime) {
    return {.precision = runtime.precision,
            .deterministic = runtime.deterministic,
            .fusions = runtime.fusions,
            .autotune = runtime.autotune,
            .autotune_seconds = static_cast<double>(
                runtime.autotune_seconds < 0 ? default_autotune_seconds(runtime.autotune) : runtime.autotune_seconds)};
}

std::unique_ptr<Device> open_device(const RuntimeSettings& runtime, bool quiet) {
    if (runtime.device != DeviceChoice::Cpu) {
        const std::string reason = cuda_unavailable_reason();
        if (reason.empty()) return make_cuda_device(cuda_settings(runtime));
        if (runtime.device == DeviceChoice::Cuda) fail("--device cuda: {}; use --device cpu or auto", reason);
        if (!quiet && built_with_cuda() && has_nvidia_device()) note_later(reason + "; running on the CPU");
    }
    if (runtime.precision != Precision::Fp32)
        fail("--precision {}: the CPU computes in fp32 only; leave it out or use --precision fp32",
             name_in(precisions, runtime.precision));
    return make_cpu_device(static_cast<int>(runtime.threads));
}

} // namespace scene
