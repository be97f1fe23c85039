#pragma once

// What a warp's tensor core instructions do (PTX ISA, "mma.m16n8k16" and "ldmatrix"), for
// kernels/cuda/common/tensor_core.h, which describes the fragments. Lanes exchange what they hold through the
// emulator's warp operations; all 32 take part.

#include <cmath>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace emulator {

inline float value_of(__half element) { return __half2float(element); }
inline float value_of(__nv_bfloat16 element) { return __bfloat162float(element); }

/// The first or second element of a register.
template <typename T> float element_of(uint32_t pair, unsigned index) {
    T element;
    const uint16_t bits = static_cast<uint16_t>(pair >> (16 * index));
    std::memcpy(&element, &bits, sizeof element);
    return value_of(element);
}

inline void give_and_take(uint32_t first, uint32_t second, uint64_t* values, std::source_location place) {
    warp_exchange(WarpOp::Shuffle, full_warp, uint64_t{first} | uint64_t{second} << 32, values, place);
}

/// Towards zero, as the device rounds.
inline float truncated(double value) {
    const auto nearest = static_cast<float>(value);
    if (!std::isfinite(nearest) || std::fabs(static_cast<double>(nearest)) <= std::fabs(value)) return nearest;
    return std::nextafter(nearest, 0.0f);
}

template <typename T> __attribute__((noinline, no_sanitize("thread"))) void
mma_m16n8k16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b_first, uint32_t b_second,
             std::source_location place = std::source_location::current()) {
    uint64_t left[warp_size], right[warp_size], below[warp_size]; // columns 0 to 7 and 8 to 15 of A; B
    give_and_take(a[0], a[1], left, place);
    give_and_take(a[2], a[3], right, place);
    give_and_take(b_first, b_second, below, place);
    const unsigned group = lane_index() / 4, in_group = lane_index() % 4;
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned column = 2 * in_group + i % 2, lower = i / 2; // rows 8 to 15 are in the second registers
        double total = static_cast<double>(sum[i]);
        for (unsigned k = 0; k < 16; ++k) {
            const uint64_t of_row = (k < 8 ? left : right)[group * 4 + k % 8 / 2] >> (32 * lower);
            const uint64_t of_column = below[column * 4 + k % 8 / 2] >> (k < 8 ? 0 : 32);
            total += static_cast<double>(element_of<T>(static_cast<uint32_t>(of_row), k % 2)) *
                     static_cast<double>(element_of<T>(static_cast<uint32_t>(of_column), k % 2));
        }
        sum[i] = truncated(total);
    }
}

using Word __attribute__((may_alias)) = uint32_t;

/// What lane i reads of each matrix, as the device does: its i-th word.
template <typename T>
__forceinline__ void read_matrices(uint32_t (&words)[4], const T* row, std::source_location place) {
    check_alignment(row, 16);
    uint64_t rows[warp_size];
    warp_exchange(WarpOp::Shuffle, full_warp, reinterpret_cast<uintptr_t>(row), rows, place);
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
        words[matrix] = reinterpret_cast<const Word*>(rows[matrix * 8 + lane_index() / 4])[lane_index() % 4];
    }
}

template <typename T> __forceinline__ void load_matrices(uint32_t (&to)[4], const T* row,
                                                         std::source_location place = std::source_location::current()) {
    read_matrices(to, row, place);
}

template <typename T>
__forceinline__ void load_transposed_matrices(uint32_t (&to)[4], const T* row,
                                              std::source_location place = std::source_location::current()) {
    uint32_t words[4];
    read_matrices(words, row, place);
    const unsigned group = lane_index() / 4, in_group = lane_index() % 4;
    for (unsigned pair = 0; pair < 4; pair += 2) {
        uint64_t given[warp_size];
        give_and_take(words[pair], words[pair + 1], given, place);
        for (unsigned matrix = 0; matrix < 2; ++matrix) {
            uint32_t both = 0;
            for (unsigned i = 0; i < 2; ++i) {
                const uint64_t word = given[(2 * in_group + i) * 4 + group / 2] >> (32 * matrix);
                both |= (static_cast<uint32_t>(word) >> (16 * (group % 2)) & 0xFFFFu) << (16 * i);
            }
            to[pair + matrix] = both;
        }
    }
}

} // namespace emulator
