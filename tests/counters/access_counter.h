#pragma once

// Counts what kernels do on the emulator. `g++ -fsanitize=thread -fsanitize-coverage=trace-pc` inserts a call before
// each access and at the start of each basic block. The functions that it calls are here;
// tests/cuda_on_cpu/access_checker.cpp has others for the same calls. From them each lane gets a trace, and the traces
// of a warp are merged into the instructions that a device would issue (docs/counters.md).

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/counters/kernel_counters.h"
#include "tests/cuda_on_cpu/emulator.h"

namespace scene::counters {

/// The accesses of one instruction of the program.
struct InstructionCounts {
    const void* instruction = nullptr; ///< the address to which the inserted call returns
    AccessKind kind = AccessKind::GlobalLoad;
    AccessCounts counts;
};

struct LaunchCounts {
    const void* kernel = nullptr; ///< the function
    emulator::Extent3 grid, block;
    size_t shared_bytes = 0;
    std::string op; ///< the innermost NVTX range
    uint64_t counted_blocks = 0;
    double scaling_error = 0, barriers = 0, warp_operations = 0, distinct_bytes_read = 0, distinct_bytes_written = 0;
    double distinct_bytes_of_scratch = 0;      ///< of those, read and written
    double warp_blocks = 0, thread_blocks = 0; ///< basic blocks entered by warps, and by their threads
    std::vector<InstructionCounts> instructions;
};

/// Blocks of a launch run in the order of their number along the axis that has most of them, whole slices at a time,
/// until as many accesses were made as this says.
struct CountingLimits {
    uint64_t accesses = 3'000'000;
    unsigned least_slices = 4; ///< but never fewer slices
};

/// Counts the launches that run while it exists. There is one at a time.
class AccessCounter {
public:
    explicit AccessCounter(CountingLimits limits = {});
    ~AccessCounter();
    AccessCounter(const AccessCounter&) = delete;
    AccessCounter& operator=(const AccessCounter&) = delete;

    /// The launches since the last call, each scaled to its grid.
    std::vector<LaunchCounts> take();
    /// The scratch of the ops to come, which plans do not count.
    void set_scratch(void* first, size_t bytes);
};

/// Device memory that has noise in place of zeros where it was not touched before: halves, or floats, of up to 2.
void fill_with_noise_when_touched(const void* first, size_t bytes);

} // namespace scene::counters
