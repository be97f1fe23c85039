#include "kernels/cpu/gemm.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/thread_scratch.h"

namespace scene::cpu {
namespace {

// Always inlined: passing a MatrixView through memory costs as much as a product of small depth.
template <int rows, int vectors>
inline __attribute__((always_inline)) void multiply_tile(float* __restrict c, int64_t c_stride, MatrixView a,
                                                         const float* __restrict b, int64_t b_stride, int64_t depth,
                                                         bool accumulate) {
    Vec sum[rows][vectors] = {};
    const float* __restrict left = a.data;
    const int64_t row_stride = a.row_stride;
    // Hardware prefetchers follow b, but not the short rows of a. The next rows of a row-major a follow in memory.
    const bool row_major = a.column_stride == 1;
    const float* ahead = row_major ? left + rows * row_stride : left + 16 * a.column_stride;
    const int64_t ahead_step = row_major ? rows : a.column_stride;
    for (int64_t p = 0; p < depth; ++p) {
        __builtin_prefetch(ahead);
        ahead += ahead_step;
        Vec right[vectors];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) right[v] = load(b + v * lanes);
#pragma GCC unroll 8
        for (int i = 0; i < rows; ++i) {
            const Vec value = broadcast(left[i * row_stride]);
#pragma GCC unroll 3
            for (int v = 0; v < vectors; ++v) sum[i][v] += value * right[v];
        }
        left += a.column_stride;
        b += b_stride;
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) {
            float* to = c + i * c_stride + v * lanes;
            if (accumulate) sum[i][v] += load(to);
            store(to, sum[i][v]);
        }
    }
}

template <int rows, int vectors> int64_t multiply_rows(float* c, int64_t c_stride, MatrixView a, const float* b,
                                                       int64_t b_stride, int64_t first, int64_t last, int64_t depth,
                                                       bool accumulate) {
    for (; first + rows <= last; first += rows) {
        const MatrixView rows_of_a{a.data + first * a.row_stride, a.row_stride, a.column_stride};
        multiply_tile<rows, vectors>(c + first * c_stride, c_stride, rows_of_a, b, b_stride, depth, accumulate);
    }
    return first;
}

template <int vectors> void multiply_panel_of(float* c, int64_t c_stride, MatrixView a, const float* b,
                                              int64_t b_stride, int64_t rows, int64_t depth, bool accumulate) {
    int64_t done = multiply_rows<tile_rows, vectors>(c, c_stride, a, b, b_stride, 0, rows, depth, accumulate);
    done = multiply_rows<4, vectors>(c, c_stride, a, b, b_stride, done, rows, depth, accumulate);
    done = multiply_rows<2, vectors>(c, c_stride, a, b, b_stride, done, rows, depth, accumulate);
    multiply_rows<1, vectors>(c, c_stride, a, b, b_stride, done, rows, depth, accumulate);
}

} // namespace

void multiply_panel(float* c, int64_t c_stride, MatrixView a, const float* b, int64_t b_stride, int64_t rows,
                    int panel_vectors, int64_t depth, bool accumulate) {
    switch (panel_vectors) {
    case 1: return multiply_panel_of<1>(c, c_stride, a, b, b_stride, rows, depth, accumulate);
    case 2: return multiply_panel_of<2>(c, c_stride, a, b, b_stride, rows, depth, accumulate);
    default: return multiply_panel_of<3>(c, c_stride, a, b, b_stride, rows, depth, accumulate);
    }
}

void pack_panel(float* packed, int width, MatrixView b, int64_t first, int64_t count, int64_t depth) {
    const int64_t taken = std::min<int64_t>(width, count);
    for (int64_t p = 0; p < depth; ++p) {
        const float* from = b.data + p * b.row_stride + first * b.column_stride;
        float* to = packed + p * width;
        if (b.column_stride == 1) {
            std::copy_n(from, taken, to);
        } else {
            for (int64_t j = 0; j < taken; ++j) to[j] = from[j * b.column_stride];
        }
        std::fill(to + taken, to + width, 0.0f);
    }
}

namespace {

/// A thread's packed panel of b.
ThreadScratch packed_panel(const ProductShape& shape) { return {shape.depth * Panels(shape.columns).widest()}; }

} // namespace

size_t multiply_scratch_bytes(int threads, const ProductShape& shape) { return packed_panel(shape).bytes(threads); }

void multiply(int threads, float* c, MatrixView a, MatrixView b, const ProductShape& shape, bool accumulate,
              const Tensor& scratch) {
    const ThreadScratch panel_memory = packed_panel(shape);
    auto* memory = scratch_of<float>(scratch, panel_memory.bytes(threads));
    const auto [rows, columns, depth] = shape;
    constexpr int64_t block_rows = 64;
    const Panels panels(columns);
    const int64_t row_blocks = divide_up(rows, block_rows);
    for_chunks(threads, panels.count * row_blocks, 1,
               [&, rows = rows, columns = columns, depth = depth](int64_t task, int64_t) {
                   const int64_t panel = task / row_blocks, first_row = task % row_blocks * block_rows;
                   const int64_t count = std::min(block_rows, rows - first_row);
                   const int64_t first = panels.first_column(panel);
                   const int width = panels.width_of(panel);
                   const int64_t taken = std::min<int64_t>(width, columns - first);
                   float* packed = panel_memory.own(memory);
                   pack_panel(packed, width, b, first, taken, depth);
                   const MatrixView a_rows{a.data + first_row * a.row_stride, a.row_stride, a.column_stride};
                   float* to = c + first_row * columns + first;
                   if (taken == width) {
                       return multiply_panel(to, columns, a_rows, packed, width, count, panels.vectors_of(panel), depth,
                                             accumulate);
                   }
                   float block[block_rows * max_panel_width];
                   multiply_panel(block, width, a_rows, packed, width, count, panels.vectors_of(panel), depth, false);
                   for (int64_t i = 0; i < count; ++i) {
                       for (int64_t j = 0; j < taken; ++j) {
                           float& element = to[i * columns + j];
                           element = accumulate ? element + block[i * width + j] : block[i * width + j];
                       }
                   }
               });
}

} // namespace scene::cpu
