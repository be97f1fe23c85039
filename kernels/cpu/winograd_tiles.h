#pragma once

// The tiles of an image [batch, height, width, channels], and their transforms between the image and 36 matrices.

#include <algorithm>
#include <type_traits>

#include "kernels/backend.h"
#include "kernels/cpu/winograd_transforms.h"

namespace scene::cpu::winograd {

/// 4x4 tiles of every clip, row by row; the last ones of a row or column may hang over the edge.
struct TileGrid {
    explicit TileGrid(const Conv2dShape& shape)
        : height(shape.height), width(shape.width), rows(divide_up(height, tile)), columns(divide_up(width, tile)),
          count(shape.batch * rows * columns) {}

    struct Place {
        int64_t pixel; ///< index of the first pixel, over all clips
        int64_t h, w;
    };
    Place place(int64_t index) const {
        const int64_t n = index / (rows * columns), h = index / columns % rows * tile, w = index % columns * tile;
        return {(n * height + h) * width + w, h, w};
    }

    int64_t height, width, rows, columns, count;
};

/// Calls work(first channel, lanes in use) for one vector of channels after another; the count is a constant, except
/// for a last vector that is not full.
template <typename Work> void for_channel_vectors(int64_t channels, Work&& work) {
    const int64_t whole = channels / lanes * lanes;
    for (int64_t c = 0; c < whole; c += lanes) work(c, std::integral_constant<int, lanes>());
    if (whole < channels) work(whole, static_cast<int>(channels - whole));
}

/// relu(scale*x + shift) on the way in; null scale: x as it is.
struct InputNorm {
    const float *scale = nullptr, *shift = nullptr;
};

/// v [36, ., channels padded to whole vectors] = B^T d B of the 6x6 window around a tile, zeros outside the image.
/// `v` points at the tile's row of the first matrix, the next matrix lies matrix_stride floats on.
template <bool normalized> void read_input_tile(float* v, int64_t matrix_stride, const float* x, int64_t channels,
                                                const TileGrid& grid, int64_t index, InputNorm norm) {
    const auto [pixel, h, w] = grid.place(index);
    const float* corner = x + (pixel - grid.width - 1) * channels;
    const int64_t row_stride = grid.width * channels;
    const int first_row = h == 0 ? 1 : 0, last_row = static_cast<int>(std::min<int64_t>(window, grid.height - h + 1));
    const int first_column = w == 0 ? 1 : 0;
    const int last_column = static_cast<int>(std::min<int64_t>(window, grid.width - w + 1));
    for_channel_vectors(channels, [&](int64_t c, auto count) {
        Vec scale{}, shift{};
        if constexpr (normalized) scale = load_first(norm.scale + c, count), shift = load_first(norm.shift + c, count);
        Vec half[window][window];
#pragma GCC unroll 6
        for (int s = 0; s < window; ++s) {
            Vec d[window] = {};
            if (s >= first_column && s < last_column) {
                const float* from = corner + s * channels + c;
#pragma GCC unroll 6
                for (int r = 0; r < window; ++r) {
                    if (r < first_row || r >= last_row) continue;
                    d[r] = load_first(from + r * row_stride, count);
                    if constexpr (normalized) {
                        const Vec value = scale * d[r] + shift;
                        d[r] = value > 0 ? value : Vec{};
                    }
                }
            }
            Vec column[window];
            transform_input(column, d);
#pragma GCC unroll 6
            for (int r = 0; r < window; ++r) half[r][s] = column[r];
        }
#pragma GCC unroll 6
        for (int r = 0; r < window; ++r) {
            Vec row[window];
            transform_input(row, half[r]);
#pragma GCC unroll 6
            for (int s = 0; s < window; ++s) store(v + (r * window + s) * matrix_stride + c, row[s]);
        }
    });
}

/// m [36, ., width] = A dy A^T of a tile, zeros outside the image; `channels` of dy from its channel `first` on.
inline void read_gradient_tile(float* m, int64_t matrix_stride, const float* dy, int64_t first, int64_t channels,
                               int64_t all_channels, const TileGrid& grid, int64_t index) {
    const auto [pixel, h, w] = grid.place(index);
    const float* corner = dy + pixel * all_channels + first;
    const int64_t row_stride = grid.width * all_channels;
    const int rows = static_cast<int>(std::min<int64_t>(tile, grid.height - h));
    const int columns = static_cast<int>(std::min<int64_t>(tile, grid.width - w));
    for_channel_vectors(channels, [&](int64_t k, auto count) {
        Vec half[window][tile];
#pragma GCC unroll 4
        for (int s = 0; s < tile; ++s) {
            Vec y[tile] = {};
#pragma GCC unroll 4
            for (int r = 0; r < tile; ++r) {
                if (r < rows && s < columns) y[r] = load_first(corner + r * row_stride + s * all_channels + k, count);
            }
            Vec column[window];
            transform_output_gradient(column, y);
#pragma GCC unroll 6
            for (int r = 0; r < window; ++r) half[r][s] = column[r];
        }
#pragma GCC unroll 6
        for (int r = 0; r < window; ++r) {
            Vec row[window];
            transform_output_gradient(row, half[r]);
#pragma GCC unroll 6
            for (int s = 0; s < window; ++s) store(m + (r * window + s) * matrix_stride + k, row[s]);
        }
    });
}

} // namespace scene::cpu::winograd
