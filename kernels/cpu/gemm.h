#pragma once

// GEMM on the CPU: one register-blocked kernel, and a driver for the linear layers. Rows, columns and depth are M, N
// and K. Each element of a product is one chain of multiply-adds along the depth, whatever the number of threads.

#include <cstdint>

#include "kernels/cpu/simd.h"
#include "kernels/tensor.h"

namespace scene::cpu {

// The accumulators, a row of B and one broadcast value of A fill the vector registers: 8*3 + 3 + 1 of the 32 that
// AVX-512 has, 4*3 + 3 + 1 = 16 before it. Zen 4 needs 4 chains in flight to hide the latency of a multiply-add.
constexpr int tile_rows = lanes == 16 ? 8 : 4;
constexpr int max_panel_vectors = 3;
constexpr int max_panel_width = max_panel_vectors * lanes;

/// A read-only matrix: element (i, j) is data[i*row_stride + j*column_stride].
struct MatrixView {
    const float* data = nullptr;
    int64_t row_stride = 0, column_stride = 1;
};

/// Splits the columns into panels of at most max_panel_vectors vectors, as equal as possible.
struct Panels {
    explicit Panels(int64_t columns)
        : vectors(divide_up(columns, lanes)), count(divide_up(vectors, max_panel_vectors)) {}

    int64_t first_vector(int64_t panel) const { return vectors * panel / count; }
    int64_t first_column(int64_t panel) const { return first_vector(panel) * lanes; }
    int vectors_of(int64_t panel) const { return static_cast<int>(first_vector(panel + 1) - first_vector(panel)); }
    int width_of(int64_t panel) const { return vectors_of(panel) * lanes; }
    int widest() const { return static_cast<int>(divide_up(vectors, count)) * lanes; }
    /// The columns, rounded up to whole vectors.
    int64_t padded_columns() const { return vectors * lanes; }

    int64_t vectors, count;
};

/// c [rows, panel_vectors*lanes] = (or += when `accumulate`) a [rows, depth] * b [depth, panel_vectors*lanes], with
/// row strides c_stride and b_stride. `rows` need not be a multiple of tile_rows. No other element of c is written.
void multiply_panel(float* c, int64_t c_stride, MatrixView a, const float* b, int64_t b_stride, int64_t rows,
                    int panel_vectors, int64_t depth, bool accumulate);

/// packed [depth, width] = columns first to first + count - 1 of b [depth, .], at most `width` of them, then zeros.
void pack_panel(float* packed, int width, MatrixView b, int64_t first, int64_t count, int64_t depth);

struct ProductShape {
    int64_t rows = 0, columns = 0, depth = 0;
};

size_t multiply_scratch_bytes(int threads, const ProductShape& shape);

/// c [rows, columns] = (or += when `accumulate`) a [rows, depth] * b [depth, columns]; c is dense. `scratch`:
/// multiply_scratch_bytes(threads, shape).
void multiply(int threads, float* c, MatrixView a, MatrixView b, const ProductShape& shape, bool accumulate,
              const Tensor& scratch);

} // namespace scene::cpu
