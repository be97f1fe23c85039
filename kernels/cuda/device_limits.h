#pragma once

#include <cstddef>
#include <cstdint>

namespace scene::cuda {

/// What grids and the choice of kernels ask of a device. By default those of an H100.
struct DeviceLimits {
    int64_t multiprocessors = 132;
    size_t block_shared_bytes = 227 * 1024; ///< of a block that opts in; 163 KB on 8.0, 99 KB on 8.6, 8.9 and 12.0
};

/// What every device from compute capability 8.0 on has. A kernel that is chosen by it is chosen on every device, and
/// so the bits do not depend on the device.
constexpr size_t least_block_shared_bytes = 99 * 1024;

} // namespace scene::cuda
