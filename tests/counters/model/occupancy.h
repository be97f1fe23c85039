#pragma once

// How many blocks of a kernel a multiprocessor holds: the rules of CUDA's occupancy calculator (cuda_occupancy.h of the
// toolkit), for compute capability 7.0 and later.

#include <cstdint>
#include <string_view>

#include "tests/counters/model/gpu_properties.h"

namespace scene::counters {

enum class Limit : uint8_t { Warps, Blocks, Registers, SharedMemory };
std::string_view name_of(Limit limit);

struct Occupancy {
    int blocks = 0;             ///< per multiprocessor; 0: the kernel cannot be launched
    int warps = 0;              ///< blocks times warps of a block
    double share = 0;           ///< of the warps that the multiprocessor can hold
    Limit limit = Limit::Warps; ///< what allows no further block; of several the first
};

/// `registers` of a thread, `shared_bytes` of a block, static and dynamic together.
Occupancy occupancy(const GpuProperties& gpu, int registers, int64_t block_threads, int64_t shared_bytes);

} // namespace scene::counters
