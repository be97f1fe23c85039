#pragma once

// Kernels with and without faults, for the tests of the emulator itself (faulty_kernels.cu).

#include <cuda_runtime.h>

namespace scene::test {

enum class Fault {
    None,
    NoBarrier,       ///< reads a neighbour's shared value without a barrier
    BarrierInBranch, ///< some threads end before a barrier
    TwoBarriers,     ///< the halves of a block wait at different places
    WrongMask,       ///< a shuffle names lanes that do not take part
    MissingLanes,    ///< a shuffle names lanes that the block does not have
    SharedBeyond,    ///< writes one element behind the shared memory
    DeviceBeyond,    ///< writes one element behind an allocation
    DeviceBefore,    ///< reads one element before an allocation
    UninitialisedShared,
    UninitialisedDevice,
    BlocksCollide,    ///< two blocks write the same element
    NoWarpBarrier,    ///< lanes exchange through shared memory without __syncwarp
    ReadersAndWriter, ///< overwrites shared memory that others still read
    Misaligned,       ///< 16 bytes from an address that is a multiple of 4
};

/// out [blocks*threads] = in, reversed within each block through shared memory, by way of the fault.
void reverse(float* out, const float* in, int blocks, int threads, Fault fault);
/// out [threads]: what the shuffle gives each lane of its own number.
enum class Exchange { Up3, Down3, Xor5, Broadcast2, Down3Of8, Ballot, Count };
void exchange(int* out, int threads, Exchange kind);
/// out [0] += the number of threads.
void count_threads(int* out, int blocks, int threads);
/// order [blocks*threads] = the place of each thread in the order of running.
void running_order(int* order, int* counter, int blocks, int threads);
/// sums [2] = the sums of 0 .. threads - 1 by warp_sum of the first warp and by block_sum.
void sums(float* out, int threads);
/// A launch that does nothing.
void launch_with(dim3 grid, dim3 block, size_t shared_bytes);

} // namespace scene::test
