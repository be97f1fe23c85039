#pragma once

#include <cstdint>
#include <string>

namespace scene::counters {

/// What the time model and the occupancy need of a GPU.
struct GpuProperties {
    std::string profile, name; ///< "h100", "NVIDIA H100 80GB HBM3"
    int major = 0, minor = 0;  ///< compute capability
    int multiprocessors = 0;
    /// Limits of one multiprocessor.
    int warps = 0, blocks = 0, registers = 0;
    int64_t shared_bytes = 0;
    int64_t reserved_shared_bytes = 0; ///< of each block, for the system
    double clock_hz = 0;
    double dram_bytes_per_s = 0, l2_bytes_per_s = 0, half_flops_per_s = 0; ///< sustained (constants.h)

    /// 90 for an H100.
    int architecture() const { return 10 * major + minor; }
};

/// The GPU of a device profile (kernels/cuda/cudnn/device_profiles.h) that has sustained rates in constants.h. Throws
/// Error for another name.
GpuProperties gpu_properties(const std::string& profile);

} // namespace scene::counters
