#include "kernels/cuda/cudnn/device_profiles.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "kernels/error.h"
#include "kernels/files/json.h"

namespace scene::cuda {
namespace {

/// What differs from device to device among the properties that cuDNN takes.
struct Profile {
    const char *name, *device_name;
    int capability; ///< 100*major + 10*minor
    int multiprocessors;
    int64_t block_shared_bytes; ///< of a block that opts in
    int threads, blocks;        ///< of a multiprocessor, at most
    int64_t memory_bytes;
    int64_t l2_bytes;
    int clock_mhz, memory_clock_mhz;
};

constexpr int64_t gib = int64_t{1} << 30, mib = 1 << 20, kib = 1024;

/// The H100's are those that the CUDA runtime reports. The others are of NVIDIA's specifications; see docs/cuda.md.
constexpr std::array<Profile, 6> profiles{{
    {"a100", "NVIDIA A100-SXM4-80GB", 800, 108, 163 * kib, 2048, 32, 80 * gib, 40 * mib, 1410, 1593},
    {"l4", "NVIDIA L4", 890, 58, 99 * kib, 1536, 24, 24 * gib, 48 * mib, 2040, 6251},
    {"rtx4090", "NVIDIA GeForce RTX 4090", 890, 128, 99 * kib, 1536, 24, 24 * gib, 72 * mib, 2520, 10501},
    {"h100", "NVIDIA H100 80GB HBM3", 900, 132, 227 * kib, 2048, 32, 85014020096, 50 * mib, 1980, 2619},
    {"h200", "NVIDIA H200", 900, 132, 227 * kib, 2048, 32, 141'000'000'000, 50 * mib, 1980, 3201},
    {"b200", "NVIDIA B200", 1000, 148, 227 * kib, 2048, 32, 180'000'000'000, 126 * mib, 1965, 3996},
}};

std::string json_of(const Profile& profile) {
    return fmt::format(
        R"({{
    "deviceName": "{}", "deviceVer": {}, "multiProcessorCount": {}, "driverVer": 13000,
    "maxSharedMemoryPerBlockOptin": {}, "totalGlobalMem": {}, "maxGridSize": [2147483647, 65535, 65535],
    "maxBlockSize": [1024, 1024, 64], "regsPerBlock": 65536, "smClockRateKHz": {}, "memClockRateKHz": {},
    "l2CacheSize": {}, "warpSize": 32, "maxSharedMemoryPerBlock": 49152, "reservedSharedMemoryPerBlock": 1024,
    "maxRegistersPerSM": 65536, "pciDeviceId": 0, "maxCtasPerSM": {}, "maxThreadsPerBlock": 1024,
    "maxThreadsPerSM": {}, "isTccDriver": 0, "supportCoopLaunch": 1, "cudaDeviceId": 0
}})",
        profile.device_name, profile.capability, profile.multiprocessors, profile.block_shared_bytes,
        profile.memory_bytes, 1000 * profile.clock_mhz, 1000 * profile.memory_clock_mhz, profile.l2_bytes,
        profile.blocks, profile.threads);
}

} // namespace

std::vector<std::string> device_profiles() {
    std::vector<std::string> names;
    for (const Profile& one : profiles) names.emplace_back(one.name);
    return names;
}

std::string device_profile(const std::string& name) {
    for (const Profile& one : profiles)
        if (name == one.name) return json_of(one);
    std::ifstream stream(name, std::ios::binary);
    if (!stream || !std::filesystem::is_regular_file(name))
        fail("{}: neither one of {} nor a file with the properties of a device", name,
             fmt::join(device_profiles(), ", "));
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (text.size() > 65536 || first == std::string::npos || text[first] != '{')
        fail("{}: not a JSON object with the properties of a device", name);
    return text;
}

DeviceLimits limits_of(const std::string& properties, const std::string& name) {
    const nlohmann::json json = try_parse_json(properties);
    const auto number = [&](const char* key) {
        const auto found = json.is_object() ? json.find(key) : json.end();
        if (found == json.end() || !found->is_number_unsigned() || found->get<uint64_t>() == 0)
            fail("{}: the properties of a device lack {}", name, key);
        return found->get<uint64_t>();
    };
    return {.multiprocessors = static_cast<int64_t>(number("multiProcessorCount")),
            .block_shared_bytes = static_cast<size_t>(number("maxSharedMemoryPerBlockOptin"))};
}

} // namespace scene::cuda
