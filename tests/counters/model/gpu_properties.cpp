#include "tests/counters/model/gpu_properties.h"

#include <algorithm>

#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/error.h"
#include "kernels/files/json.h"
#include "tests/counters/model/constants.h"

namespace scene::counters {

GpuProperties gpu_properties(const std::string& profile) {
    const auto* const of_device =
        std::find_if(rates.begin(), rates.end(), [&](const SustainedRates& r) { return r.device == profile; });
    if (of_device == rates.end()) {
        std::string names;
        for (const SustainedRates& known : rates) names += (names.empty() ? "" : ", ") + std::string(known.device);
        fail("no rates are known of the GPU '{}'; known are {}", profile, names);
    }
    const nlohmann::json json = parse_json(cuda::device_profile(profile));
    const auto number = [&](const char* name) { return whole_number<int64_t>(json.at(name)); };
    GpuProperties gpu;
    gpu.profile = profile;
    gpu.name = json.at("deviceName");
    const auto version = static_cast<int>(number("deviceVer"));
    gpu.major = version / 100, gpu.minor = version % 100 / 10;
    gpu.multiprocessors = static_cast<int>(number("multiProcessorCount"));
    gpu.warps = static_cast<int>(number("maxThreadsPerSM") / number("warpSize"));
    gpu.blocks = static_cast<int>(number("maxCtasPerSM"));
    gpu.registers = static_cast<int>(number("maxRegistersPerSM"));
    gpu.reserved_shared_bytes = number("reservedSharedMemoryPerBlock");
    gpu.shared_bytes = number("maxSharedMemoryPerBlockOptin") + gpu.reserved_shared_bytes;
    gpu.clock_hz = 1e3 * static_cast<double>(number("smClockRateKHz"));
    gpu.dram_bytes_per_s = of_device->dram_bytes_per_s;
    gpu.l2_bytes_per_s = of_device->l2_bytes_per_s;
    gpu.half_flops_per_s = of_device->half_flops_per_s;
    return gpu;
}

} // namespace scene::counters
