#pragma once

// Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, CVPR 2016): a 4x4 tile of outputs from a 6x6 tile d of
// inputs and a 3x3 filter g is A^T [(G g G^T) . (B^T d B)] A, where . is elementwise: 36 products where the direct sum
// needs 144.
//
// The matrices come from Toom-Cook interpolation at 0, +a, -a, +b, -b and infinity. With a = 3/4 and b = 3/2 every
// entry of A and B is exact in binary, and the error is a quarter of that of the usual 1 and 2: largest error over
// largest output 2e-6 against 8e-6, on normally distributed values and 144 channels (a naive direct sum in float:
// 1.3e-6).
//
// The one-dimensional transforms work on vectors of channels. transform_square applies one to the columns of a tile,
// then to its rows.

#include "kernels/cpu/simd.h"

namespace scene::cpu::winograd {

constexpr int tile = 4;                              ///< outputs per axis
constexpr int input_tile = 6;                        ///< inputs per axis
constexpr int frequencies = input_tile * input_tile; ///< products per tile and channel pair
constexpr float a = 0.75f, b = 1.5f;
constexpr float a2 = a * a, b2 = b * b;
constexpr float weight_0 = 1 / (a2 * b2), weight_a = 1 / (2 * a2 * (a2 - b2)), weight_b = 1 / (2 * b2 * (b2 - a2));

/// B^T d
inline void transform_input(Vec out[input_tile], const Vec d[input_tile]) {
    const Vec even_a = d[4] - b2 * d[2], odd_a = d[3] - b2 * d[1];
    const Vec even_b = d[4] - a2 * d[2], odd_b = d[3] - a2 * d[1];
    out[0] = a2 * b2 * d[0] + (d[4] - (a2 + b2) * d[2]);
    out[1] = even_a + a * odd_a;
    out[2] = even_a - a * odd_a;
    out[3] = even_b + b * odd_b;
    out[4] = even_b - b * odd_b;
    out[5] = a2 * b2 * d[1] + (d[5] - (a2 + b2) * d[3]);
}

/// G g
inline void transform_filter(Vec out[input_tile], const Vec g[3]) {
    const Vec even_a = weight_a * (g[0] + a2 * g[2]), odd_a = (weight_a * a) * g[1];
    const Vec even_b = weight_b * (g[0] + b2 * g[2]), odd_b = (weight_b * b) * g[1];
    out[0] = weight_0 * g[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = g[2];
}

/// A^T m
inline void transform_output(Vec out[tile], const Vec m[input_tile]) {
    const Vec sum_a = m[1] + m[2], difference_a = m[1] - m[2];
    const Vec sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    out[0] = m[0] + sum_a + sum_b;
    out[1] = a * difference_a + b * difference_b;
    out[2] = a2 * sum_a + b2 * sum_b;
    out[3] = (a * a2) * difference_a + ((b * b2) * difference_b + m[5]);
}

/// A y, the adjoint of transform_output
inline void transform_output_gradient(Vec out[input_tile], const Vec y[tile]) {
    const Vec even_a = y[0] + a2 * y[2], odd_a = y[1] + a2 * y[3];
    const Vec even_b = y[0] + b2 * y[2], odd_b = y[1] + b2 * y[3];
    out[0] = y[0];
    out[1] = even_a + a * odd_a;
    out[2] = even_a - a * odd_a;
    out[3] = even_b + b * odd_b;
    out[4] = even_b - b * odd_b;
    out[5] = y[3];
}

/// G^T u, the adjoint of transform_filter
inline void transform_filter_gradient(Vec out[3], const Vec u[input_tile]) {
    const Vec sum_a = weight_a * (u[1] + u[2]), sum_b = weight_b * (u[3] + u[4]);
    out[0] = weight_0 * u[0] + (sum_a + sum_b);
    out[1] = (weight_a * a) * (u[1] - u[2]) + (weight_b * b) * (u[3] - u[4]);
    out[2] = a2 * sum_a + (b2 * sum_b + u[5]);
}

/// A small matrix of vectors in memory. Element (row, column) is at data + row*row_stride + column*column_stride.
template <typename Float> struct Grid {
    Float* data;
    int64_t row_stride, column_stride;

    Float* at(int row, int column) const { return data + row * row_stride + column * column_stride; }
};

/// to [rows_out, rows_out] = T from T^T, with from [rows_in, rows_in], for one of the one-dimensional transforms T.
template <int rows_in, int rows_out, typename Transform> inline __attribute__((always_inline)) void
transform_square(Grid<float> to, Grid<const float> from, Transform transform) {
    Vec half[rows_out][rows_in];
#pragma GCC unroll 6
    for (int s = 0; s < rows_in; ++s) {
        Vec column[rows_in], transformed[rows_out];
#pragma GCC unroll 6
        for (int r = 0; r < rows_in; ++r) column[r] = load(from.at(r, s));
        transform(transformed, column);
#pragma GCC unroll 6
        for (int r = 0; r < rows_out; ++r) half[r][s] = transformed[r];
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows_out; ++r) {
        Vec transformed[rows_out];
        transform(transformed, half[r]);
#pragma GCC unroll 6
        for (int s = 0; s < rows_out; ++s) store(to.at(r, s), transformed[s]);
    }
}

/// A transformed tile whose element (r, s) lies in matrix r*6 + s of 36 matrices that are `stride` floats apart.
template <typename Float> Grid<Float> across_matrices(Float* data, int64_t stride) {
    return {data, input_tile * stride, stride};
}

} // namespace scene::cpu::winograd
