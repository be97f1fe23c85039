// scene info: what this build is and what it runs on.

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <CLI/Version.hpp> // not the whole of CLI11, which would cost seconds
#include <fmt/format.h>
#include <sndfile.h>
#include <soxr.h>

#include "kernels/cpu_isa.h"
#include "kernels/files/json.h"
#include "tools/cli/options.h"
#include "tools/cli/text_table.h"
#include "tools/cli/version.h"
#include "tools/commands/command.h"
#include "train/config/config.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view compiler = "g++ " __VERSION__;

struct Information {
    DeviceInfo cpu;
    std::optional<DeviceInfo> gpu;
    std::string no_gpu; ///< why there is none
    std::string_view isa;
    std::vector<std::string_view> usable_isas; ///< by this processor
    std::vector<std::pair<std::string, std::string>> libraries;
};

Information collect(const CommonOptions& options) {
    const DeviceInfo cpu = make_cpu_device(static_cast<int>(options.runtime().threads))->info();
    const std::string no_gpu = cuda_unavailable_reason();
    std::optional<DeviceInfo> gpu;
    if (no_gpu.empty()) gpu = make_cuda_device({})->info();
    std::vector<std::string_view> usable_isas;
    for (const CpuKernels* kernels : built_cpu_kernels())
        if (lacking_for(kernels->isa).empty()) usable_isas.push_back(kernels->isa);
    return {cpu,
            gpu,
            no_gpu,
            chosen_cpu_kernels().isa,
            usable_isas,
            {{"CPU backend", cpu.libraries},
             {"libsndfile", sf_version_string()},
             {"soxr", soxr_version()},
             {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
             {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                           NLOHMANN_JSON_VERSION_PATCH)},
             {"toml++", toml_library_version()},
             {"CLI11", CLI11_VERSION}}};
}

Json to_json(const Information& info) {
    Json libraries = Json::object();
    for (const auto& [name, text] : info.libraries) libraries[name] = text;
    const auto device = [](std::string_view kind, const DeviceInfo& of) {
        return Json{{"kind", kind}, {"name", of.name}, {"libraries", of.libraries}, {"memory_bytes", of.memory_bytes}};
    };
    Json devices = Json::array({device("cpu", info.cpu)});
    if (info.gpu) devices.push_back(device("cuda", *info.gpu));
    Json built = Json::array();
    for (const CpuKernels* kernels : built_cpu_kernels()) built.push_back(kernels->isa);
    return {{"version", version},
            {"build", {{"compiler", compiler}, {"flags", SCENE_BUILD_FLAGS}, {"cuda", built_with_cuda()}}},
            {"cpu_kernels", {{"chosen", info.isa}, {"usable", info.usable_isas}, {"built", built}}},
            {"devices", devices},
            {"libraries", libraries}};
}

void print(const Information& info) {
    const auto line = [](std::string_view name, std::string_view text) { fmt::print("{:<15}{}\n", name, text); };
    line("scene", version);
    line("compiler", compiler);
    line("flags", SCENE_BUILD_FLAGS);
    line("CPU kernels",
         fmt::format("{} (SCENE_ISA chooses; this processor has {})", info.isa, fmt::join(info.usable_isas, ", ")));
    line("CUDA", !built_with_cuda() ? "not in this build" : info.gpu ? info.gpu->libraries : info.no_gpu);
    line("device",
         fmt::format("cpu: {}, {} of memory", info.cpu.name, bytes_text(static_cast<double>(info.cpu.memory_bytes))));
    if (info.gpu)
        line("device", fmt::format("cuda: {}, {} of memory", info.gpu->name,
                                   bytes_text(static_cast<double>(info.gpu->memory_bytes))));
    for (const auto& [name, text] : info.libraries) line(name, text);
}

} // namespace

void add_info_command(CommandLine& line) {
    const auto options = std::make_shared<CommonOptions>();
    Arguments arguments =
        line.add_command("info", "Show devices, libraries and build.", "Example:\n  scene info --json", [options] {
            const Information info = collect(*options);
            if (options->json)
                fmt::print("{}\n", json_text(to_json(info)));
            else
                print(info);
            return 0;
        });
    add_common_options(arguments, *options);
}

} // namespace scene
