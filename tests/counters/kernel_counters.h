#pragma once

// What the emulator counts of a kernel: what Nsight Compute's counters of the same names would say on a device
// (counter_names.h), per launch and per line of source.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace scene::counters {

enum class AccessKind : uint8_t { GlobalLoad, GlobalStore, GlobalAtomic, SharedLoad, SharedStore, SharedAtomic };
constexpr int access_kinds = 6;

/// Sums over the warp-level requests of one kind. A request is one instruction of one warp. Scaled to the whole grid,
/// hence double.
struct AccessCounts {
    double requests = 0;
    double lanes = 0;            ///< threads that took part
    double bytes = 0;            ///< that the threads asked for
    double sectors = 0;          ///< global memory: 32-byte sectors touched, per request
    double least_sectors = 0;    ///< the fewest that hold as many distinct bytes
    double wavefronts = 0;       ///< shared memory: passes over the 32 banks
    double least_wavefronts = 0; ///< the passes that the same bytes need without a bank conflict

    AccessCounts& operator+=(const AccessCounts& other);
};

using AccessTable = std::array<AccessCounts, access_kinds>;

struct Frame {
    std::string file; ///< relative to the repository
    int line = 0;
};

/// The accesses of one instruction.
struct LineCounts {
    std::vector<Frame> frames; ///< the innermost inlined function first; the last one is in the kernel itself
    AccessTable access;
};

struct KernelCounters {
    std::string op;     ///< the op's name in the program, such as block1.norm1.backward
    std::string kind;   ///< the record's name, such as batch_norm_backward
    std::string kernel; ///< demangled, with template arguments
    std::string symbol; ///< mangled
    std::array<uint32_t, 3> grid{}, block{};
    uint64_t shared_bytes = 0; ///< dynamic, of a block
    uint64_t counted_blocks = 0;
    /// The largest relative difference between a counter and its extrapolation from fewer blocks; 0 if all blocks ran.
    double scaling_error = 0;
    double barriers = 0; ///< of whole blocks, times warps
    double warp_operations = 0;
    /// Of global memory, each byte once: compulsory traffic.
    double distinct_bytes_read = 0, distinct_bytes_written = 0;
    double distinct_bytes_of_scratch = 0;      ///< the part of both that is the op's scratch
    double warp_blocks = 0, thread_blocks = 0; ///< basic blocks entered by warps, and by their threads
    AccessTable access;                        ///< the sum over `lines`
    std::vector<LineCounts> lines;
};

/// A step's launches in order.
struct StepCounters {
    std::string program, precision; ///< such as fcnn_train_b256, fp16
    int64_t batch = 0;
    std::vector<KernelCounters> kernels;
};

} // namespace scene::counters
