#pragma once

// Tensor cores: products of 16-bit matrices with sums in float, by a warp. The fragments are those of the PTX ISA,
// "Matrix Fragments for mma.m16n8k16" and "ldmatrix". A register holds two neighbours, the first in its lower half.
// With g = lane / 4 and t = lane % 4 a lane has
// - of A [16, 16]: {(g, 2t), (g, 2t+1)}, the same of row g + 8, then both of the columns 8 further
// - of B [16, 8]: {(2t, g), (2t+1, g)}, then the same of the rows 8 further
// - of the sums [16, 8]: (g, 2t), (g, 2t+1), then both of row g + 8
//
// The sums of a tensor core are not rounded to nearest but towards zero, so chains of them are kept short.

#include "kernels/cuda/common/device_code.h"

namespace scene::cuda {

/// The place of a lane in a fragment.
struct FragmentLane {
    int group, in_group; ///< g and t above

    __device__ explicit FragmentLane(int lane) : group(lane / 4), in_group(lane % 4) {}
};

/// Two elements in a register.
template <typename T> __device__ inline uint32_t pair_of(T first, T second) {
    const T both[2] = {first, second};
    uint32_t bits;
    memcpy(&bits, both, sizeof bits);
    return bits;
}

/// sum [16, 8] += A [16, 16] * B [16, 8], by all 32 lanes. T is the type of the elements of A and B.
template <typename T>
__device__ inline void mma_m16n8k16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b_first, uint32_t b_second);

template <> __device__ inline void mma_m16n8k16<half>(float (&sum)[4], const uint32_t (&a)[4], uint32_t b_first,
                                                      uint32_t b_second) {
#if defined(__CUDACC__)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_first), "r"(b_second));
#else
    emulator::mma_m16n8k16<half>(sum, a, b_first, b_second);
#endif
}

template <> __device__ inline void mma_m16n8k16<bfloat16>(float (&sum)[4], const uint32_t (&a)[4], uint32_t b_first,
                                                          uint32_t b_second) {
#if defined(__CUDACC__)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_first), "r"(b_second));
#else
    emulator::mma_m16n8k16<bfloat16>(sum, a, b_first, b_second);
#endif
}

/// Four matrices of 8 x 8 16-bit elements from shared memory. Lane i gives the address of row i % 8 of matrix i / 8: 16
/// bytes, aligned. A lane receives from each matrix the neighbours (g, 2t), (g, 2t+1).
template <typename T> __device__ inline void load_matrices(uint32_t (&to)[4], const T* row) {
    static_assert(sizeof(T) == 2);
#if defined(__CUDACC__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
                 : "memory");
#else
    emulator::load_matrices(to, row);
#endif
}

/// The same four matrices transposed: a lane receives (2t, g), (2t+1, g) of each.
template <typename T> __device__ inline void load_transposed_matrices(uint32_t (&to)[4], const T* row) {
    static_assert(sizeof(T) == 2);
#if defined(__CUDACC__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
                 : "memory");
#else
    emulator::load_transposed_matrices(to, row);
#endif
}

/// The pair of values where that of gates is > 0, else 0. A NaN is not > 0.
template <typename T> __device__ inline uint32_t where_positive(uint32_t values, uint32_t gates);
template <> __device__ inline uint32_t where_positive<half>(uint32_t values, uint32_t gates) {
    half2 pair;
    memcpy(&pair, &gates, sizeof pair);
    return values & __hgt2_mask(pair, __floats2half2_rn(0, 0));
}
template <> __device__ inline uint32_t where_positive<bfloat16>(uint32_t values, uint32_t gates) {
    __nv_bfloat162 pair;
    memcpy(&pair, &gates, sizeof pair);
    return values & __hgt2_mask(pair, __floats2bfloat162_rn(0, 0));
}

} // namespace scene::cuda
