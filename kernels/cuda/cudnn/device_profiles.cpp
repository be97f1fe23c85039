#include "kernels/cuda/cudnn/device_profiles.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernels/error.h"

namespace scene::cuda {
namespace {

/// NVIDIA H100 80GB HBM3 (SXM), as the CUDA runtime reports it.
constexpr const char* h100 = R"({
    "deviceName": "NVIDIA H100 80GB HBM3", "deviceVer": 900, "multiProcessorCount": 132, "driverVer": 13000,
    "maxSharedMemoryPerBlockOptin": 232448, "totalGlobalMem": 85014020096, "maxGridSize": [2147483647, 65535, 65535],
    "maxBlockSize": [1024, 1024, 64], "regsPerBlock": 65536, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000,
    "l2CacheSize": 52428800, "warpSize": 32, "maxSharedMemoryPerBlock": 49152, "reservedSharedMemoryPerBlock": 1024,
    "maxRegistersPerSM": 65536, "pciDeviceId": 0, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024,
    "maxThreadsPerSM": 2048, "isTccDriver": 0, "supportCoopLaunch": 1, "cudaDeviceId": 0
})";

} // namespace

std::string device_profile(const std::string& name) {
    if (name == "h100") return h100;
    std::ifstream stream(name, std::ios::binary);
    if (!stream || !std::filesystem::is_regular_file(name))
        fail("{}: neither 'h100' nor a file with the properties of a device", name);
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (text.size() > 65536 || first == std::string::npos || text[first] != '{')
        fail("{}: not a JSON object with the properties of a device", name);
    return text;
}

} // namespace scene::cuda
