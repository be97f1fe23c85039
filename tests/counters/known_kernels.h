#pragma once

// Kernels whose counters are known, for the tests of the counters themselves (known_kernels.cu). All pointers are
// device memory; n is a multiple of the block's threads unless it says otherwise.

#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace scene::test {

/// out [n] = every `stride`-th of in [n*stride], in blocks of `threads`.
void strided_copy(float* out, const float* in, int n, int stride, int threads = 128);
/// out [32, 32] = in [32, 32] transposed through shared memory whose rows have 32 + padding words. One block of 32 x 8.
void transpose(float* out, const float* in, int padding);
/// out [n] += in [n] in the odd lanes, -= other [n] in the even ones.
void branch(float* out, const float* in, const float* other, int n);
/// Each of 32 threads adds up in [turns, 32], leaving out the turns that are even plus its own number.
void skip_turns(float* out, const float* in, int turns);
/// Thread i of 32 adds up i + 1 values.
void loop_as_long_as_lane(float* out, const float* in);
/// out [n] = in[0].
void broadcast(float* out, const float* in, int n);
/// Copies by vectors of V elements, each thread one, and through shared memory if so asked.
enum class Vector { Float4, Half8, Float8, Half4, Double2 };
void copy_vectors(void* out, const void* in, int threads, Vector vector, bool through_shared);
/// Copies 32 vectors of four floats through shared memory. The eight lanes of a quarter of the warp have one column of
/// vectors, in the same four banks; each quarter has another.
void copy_vectors_through_columns(void* out, const void* in);
/// count[i % counters] += 1 for each of n threads.
void count_atomically(int* count, int n, int counters);
/// out [n] = in [n] + in [n] read again `times` times, with another thread's elements between.
void read_again(float* out, const float* in, int n, int times);
/// out [rows, 64] = the mean of three neighbouring rows of in; a block has 16 rows.
void blur(float* out, const float* in, int rows);

/// Copies in [n] to out [n], each time slow in one way.
enum class Slowness {
    None,
    UncoalescedStore, ///< each thread stores n/threads consecutive elements
    BankConflict,     ///< goes through shared memory with a stride of 32 words
    Divergence,       ///< each lane copies in a turn of its own
    ReRead,           ///< loads everything four times
};
void slow_copy(float* out, const float* in, int n, Slowness slowness);

} // namespace scene::test
