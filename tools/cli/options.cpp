#include "tools/cli/options.h"

#include <filesystem>

#include "tools/cli/note.h"

namespace scene {
namespace {

/// Whether the system knows of a GPU, usable or not: where there is none, nobody waits for a reason.
bool has_nvidia_device() {
    std::error_code ignored;
    return std::filesystem::exists("/dev/nvidiactl", ignored);
}

} // namespace

RuntimeSettings CommonOptions::runtime(RuntimeSettings base) const {
    if (device) base.device = *device;
    if (precision) base.precision = *precision;
    if (threads) base.threads = *threads;
    return base;
}

void add_common_options(Arguments& arguments, CommonOptions& options) {
    const std::string group = "Common options";
    arguments.add("--device", options.device, "where to run; auto: a GPU if there is one")
        .choices({"auto", "cpu", "cuda"})
        .group(group);
    arguments.add("--precision", options.precision, "of the arithmetic; the CPU has fp32 only")
        .choices({"fp32", "tf32", "fp16"})
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
    const Precision precision = runtime.precision == "fp16"   ? Precision::Fp16
                                : runtime.precision == "tf32" ? Precision::Tf32
                                                              : Precision::Fp32;
    const Fusions fusions = runtime.fusions == "never"    ? Fusions::Never
                            : runtime.fusions == "always" ? Fusions::Always
                                                          : Fusions::Quickest;
    return {.precision = precision,
            .deterministic = runtime.deterministic,
            .fusions = fusions,
            .autotune = runtime.autotune == "full" ? Autotune::Full : Autotune::Precompiled};
}

std::unique_ptr<Device> open_device(const RuntimeSettings& runtime, bool quiet) {
    if (runtime.device != "cpu") {
        const std::string obstacle = cuda_obstacle();
        if (obstacle.empty()) return make_cuda_device(cuda_settings(runtime));
        if (runtime.device == "cuda") fail("--device cuda: {}; use --device cpu or auto", obstacle);
        if (!quiet && built_with_cuda() && has_nvidia_device()) note_later(obstacle + "; running on the CPU");
    }
    if (runtime.precision != "fp32")
        fail("--precision {}: the CPU computes in fp32 only; leave it out or use --precision fp32", runtime.precision);
    return make_cpu_device(static_cast<int>(runtime.threads));
}

} // namespace scene
