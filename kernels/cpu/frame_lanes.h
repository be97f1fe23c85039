#pragma once

// Several frames side by side in one vector register: element l of a vector belongs to frame l, so that an FFT written
// for one frame transforms all of them, without shuffles.

#include <array>
#include <cstddef>
#include <utility>

namespace scene::cpu {

#if defined(__AVX512F__)
constexpr int lanes = 8;
#elif defined(__AVX__)
constexpr int lanes = 4;
#else
constexpr int lanes = 2;
#endif

// The vector extension of GCC and clang: + - * work element by element, and with a scalar, for any instruction set.
typedef double LanesF64 __attribute__((vector_size(lanes * sizeof(double))));
typedef float LanesF32 __attribute__((vector_size(lanes * sizeof(float))));

/// Swaps the off-diagonal quarters of the 2*Distance x 2*Distance blocks of two rows.
template <int Distance, int... Lane>
inline void exchange_quarters(LanesF64& a, LanesF64& b, std::integer_sequence<int, Lane...>) {
    // Indices into the concatenation of the rows.
    const LanesF64 low = __builtin_shufflevector(a, b, ((Lane & Distance) ? lanes + Lane - Distance : Lane)...);
    b = __builtin_shufflevector(a, b, ((Lane & Distance) ? lanes + Lane : Lane + Distance)...);
    a = low;
}

/// One step of the transpose.
template <int Distance> inline void exchange_blocks(LanesF64 (&rows)[lanes]) {
    for (int row = 0; row < lanes; ++row)
        if (!(row & Distance))
            exchange_quarters<Distance>(rows[row], rows[row + Distance], std::make_integer_sequence<int, lanes>());
}

/// From one frame a row to one sample a row: rows[i][j] becomes rows[j][i].
template <int Distance = lanes / 2> inline void transpose(LanesF64 (&rows)[lanes]) {
    exchange_blocks<Distance>(rows);
    if constexpr (Distance > 1) transpose<Distance / 2>(rows);
}

} // namespace scene::cpu
