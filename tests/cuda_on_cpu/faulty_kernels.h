#pragma once

// Kernels with and without faults, for the tests of the emulator itself (faulty_kernels.cu).

#include <cuda_runtime.h>

namespace scene::test {

enum class Fault {
    None,
    NoBarrier,       ///< reads a neighbour's shared value without a barrier
    BarrierInBranch, ///< some threads end before they reach a barrier
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

/// out [blocks*threads] = in, reversed within each block through shared memory, with this fault.
void reverse(float* out, const float* in, int blocks, int threads, Fault fault);
enum class Exchange { Up3, Down3, Xor5, Broadcast2, Down3Of8, Ballot, Count };
/// out [threads] = what each lane receives if all give their lane numbers, or the result of the vote or count.
void exchange(int* out, int threads, Exchange kind);
/// out [0] += the number of threads.
void count_threads(int* out, int blocks, int threads);
/// order [blocks*threads] = the position of each thread in the running order.
void running_order(int* order, int* counter, int blocks, int threads);
/// out [2] = the sums of the threads' indices: of the first warp by warp_sum, of the block by block_sum.
void sums(float* out, int threads);
/// A launch that does nothing.
void launch_with(dim3 grid, dim3 block, size_t shared_bytes);

} // namespace scene::test
