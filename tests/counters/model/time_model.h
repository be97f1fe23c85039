#pragma once

// A model of the time of a kernel on a GPU, from what the emulator counts. All it says is a prediction.
//
// The time is the largest of five, plus the gap to the next kernel:
// - memory: the bytes that the kernel touches, each once, over the bandwidth of device memory;
// - L2: the 32-byte sectors of all requests over the bandwidth of L2, as if L1 never hit;
// - L1: of a multiprocessor, one shared-memory wavefront a cycle, and 128 bytes of global memory a cycle;
// - issue: of a multiprocessor, four warp instructions a cycle, and of double precision what its units allow;
// - latency: a warp's loads one after another, as many at a time as it has under way, times the rounds of resident
//   blocks (Little's law: bytes in flight = warps x bytes a request x loads under way).
// L1 and issue are those of the multiprocessor with most blocks. A kernel that moves 3 GB with few blocks is so limited
// by latency.

#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/counters/kernel_counters.h"
#include "tests/counters/model/gpu_properties.h"
#include "tests/counters/model/kernel_resources.h"
#include "tests/counters/model/occupancy.h"

namespace scene::counters {

/// Executed instructions, estimated from machine code.
struct IssuedInstructions {
    double warp_instructions = 0; ///< of the whole grid
    double double_precision = 0;  ///< of them, arithmetic in double precision
    double loads_in_flight = 0; ///< of a thread, independent global loads before the first use of one; mean over loads
    double anchored = 0;        ///< the share of warp_instructions whose count follows from a memory access beside them
};

enum class Bound : uint8_t { Memory, L2, L1, Issue, Latency };
std::string_view name_of(Bound bound);

struct PredictedTime {
    double seconds = 0; ///< with the gap to the next kernel
    Bound bound = Bound::Memory;
    double memory = 0, l2 = 0, l1 = 0;    ///< seconds
    std::optional<double> issue, latency; ///< absent without machine code, without registers
    std::optional<Occupancy> occupancy;   ///< absent without registers
    double rounds = 0;                    ///< of blocks that are resident together; 0 without registers
};

PredictedTime predict(const KernelCounters& kernel, const GpuProperties& gpu,
                      const std::optional<KernelResources>& resources,
                      const std::optional<IssuedInstructions>& instructions);

} // namespace scene::counters
