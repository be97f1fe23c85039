#pragma once

// Several frames side by side in one vector register: element l of a vector belongs to frame l, so that an FFT written
// for one frame transforms all of them, without shuffles.

#include <array>
#include <cstddef>

namespace scene::cpu {

#if defined(__AVX512F__)
constexpr int lanes = 8;
#elif defined(__AVX__)
constexpr int lanes = 4;
#else
constexpr int lanes = 2;
#endif

// GCC's vector extension: + - * work element by element, and with a scalar, for any instruction set.
typedef double LanesF64 __attribute__((vector_size(lanes * sizeof(double))));
typedef float LanesF32 __attribute__((vector_size(lanes * sizeof(float))));
typedef long long LanesI64 __attribute__((vector_size(lanes * sizeof(long long))));

/// One step of the transpose: swaps the off-diagonal quarters of every 2*Distance x 2*Distance block.
template <int Distance> inline void exchange_blocks(LanesF64 (&rows)[lanes]) {
    LanesI64 low, high; // indices into the concatenation of two rows
    for (int lane = 0; lane < lanes; ++lane) {
        low[lane] = (lane & Distance) ? lanes + lane - Distance : lane;
        high[lane] = (lane & Distance) ? lanes + lane : lane + Distance;
    }
    for (int row = 0; row < lanes; ++row) {
        if (row & Distance) continue;
        const LanesF64 a = rows[row], b = rows[row + Distance];
        rows[row] = __builtin_shuffle(a, b, low);
        rows[row + Distance] = __builtin_shuffle(a, b, high);
    }
}

/// Frames of consecutive samples to samples of consecutive frames: rows[i][j] becomes rows[j][i].
template <int Distance = lanes / 2> inline void transpose(LanesF64 (&rows)[lanes]) {
    exchange_blocks<Distance>(rows);
    if constexpr (Distance > 1) transpose<Distance / 2>(rows);
}

} // namespace scene::cpu
