#pragma once

// The tiles of an image [batch, height, width, channels], and the transforms from the image to 36 matrices.

#include <algorithm>
#include <type_traits>

#include "kernels/conv2d/cpu_winograd_transforms.h"
#include "kernels/op_types.h"

namespace scene::cpu::winograd {

/// 4x4 tiles of every clip, row by row. The last ones of a row or column may extend beyond the edge.
struct TileGrid {
    explicit TileGrid(const Conv2dShape& shape)
        : height(shape.height), width(shape.width), rows(divide_up(height, tile)), columns(divide_up(width, tile)),
          count(shape.batch * rows * columns) {}

    struct Place {
        int64_t pixel; ///< index of the tile's first pixel, over all clips
        int64_t h, w;  ///< its row and column in the clip
    };
    Place place(int64_t index) const {
        const int64_t n = index / (rows * columns), h = index / columns % rows * tile, w = index % columns * tile;
        return {(n * height + h) * width + w, h, w};
    }

    int64_t height, width, rows, columns, count;
};

/// Calls work(first channel, lanes in use) for one vector of channels after another. The lanes in use are a
/// compile-time constant, except for a last vector that is not full.
template <typename Work> inline void for_channel_vectors(int64_t channels, Work&& work) {
    const int64_t whole = channels / lanes * lanes;
    for (int64_t c = 0; c < whole; c += lanes) work(c, std::integral_constant<int, lanes>());
    if (whole < channels) work(whole, static_cast<int>(channels - whole));
}

/// The input norm, fused into reading x: relu(scale*x + shift), or x itself if scale is null.
struct InputNorm {
    const float *scale = nullptr, *shift = nullptr;
};

/// v [36, ., channels padded to whole vectors] = B^T d B of the 6x6 inputs d of a tile, zeros outside the image.
/// `v` points at the tile's row in the first matrix; the next matrix is matrix_stride floats further.
inline void read_input_tile(float* v, int64_t matrix_stride, const float* x, int64_t channels, const TileGrid& grid,
                            int64_t index, InputNorm norm) {
    const TileGrid::Place place = grid.place(index);
    const float* corner = x + (place.pixel - grid.width - 1) * channels;
    const int64_t row_stride = grid.width * channels;
    const int first_row = place.h == 0,
              last_row = static_cast<int>(std::min<int64_t>(input_tile, grid.height - place.h + 1));
    const int first_column = place.w == 0;
    const int last_column = static_cast<int>(std::min<int64_t>(input_tile, grid.width - place.w + 1));
    const bool inside = first_row == 0 && first_column == 0 && last_row == input_tile && last_column == input_tile;
    alignas(64) float copy[input_tile][input_tile][lanes] = {}; // zeros outside the image
    for_channel_vectors(channels, [&](int64_t c, auto count) {
        const Grid<float> to = across_matrices(v + c, matrix_stride);
        // Prefetches the pixels that the next tile adds. There are too many streams for the hardware prefetcher.
        for (int r = input_tile - tile; r < input_tile; ++r) {
            for (int s = input_tile; s < input_tile + tile; ++s)
                __builtin_prefetch(corner + r * row_stride + s * channels + c);
        }
        if (inside && !norm.scale && count == lanes)
            return transform_square<input_tile, input_tile>(to, {corner + c, row_stride, channels}, transform_input);
        const Vec scale = norm.scale ? load_first(norm.scale + c, count) : Vec{};
        const Vec shift = norm.scale ? load_first(norm.shift + c, count) : Vec{};
        for (int r = first_row; r < last_row; ++r) {
            for (int s = first_column; s < last_column; ++s) {
                Vec value = load_first(corner + r * row_stride + s * channels + c, count);
                if (norm.scale) value = positive_part(scale * value + shift);
                store(copy[r][s], value);
            }
        }
        transform_square<input_tile, input_tile>(to, {copy[0][0], input_tile * lanes, lanes}, transform_input);
    });
}

/// m [36, ., width] = A dy A^T of a tile, zeros outside the image, of `channels` channels of dy from `first` on.
inline void read_gradient_tile(float* m, int64_t matrix_stride, const float* dy, int64_t first, int64_t channels,
                               int64_t all_channels, const TileGrid& grid, int64_t index) {
    const TileGrid::Place place = grid.place(index);
    const float* corner = dy + place.pixel * all_channels + first;
    const int64_t row_stride = grid.width * all_channels;
    const int rows = static_cast<int>(std::min<int64_t>(tile, grid.height - place.h));
    const int columns = static_cast<int>(std::min<int64_t>(tile, grid.width - place.w));
    alignas(64) float copy[tile][tile][lanes] = {}; // zeros outside the image
    for_channel_vectors(channels, [&](int64_t k, auto count) {
        const Grid<float> to = across_matrices(m + k, matrix_stride);
        for (int r = 0; r < tile; ++r) { // prefetches the next tile
            for (int s = tile; s < 2 * tile; ++s) __builtin_prefetch(corner + r * row_stride + s * all_channels + k);
        }
        if (rows == tile && columns == tile && count == lanes)
            return transform_square<tile, input_tile>(to, {corner + k, row_stride, all_channels},
                                                      transform_output_gradient);
        for (int r = 0; r < rows; ++r) {
            for (int s = 0; s < columns; ++s)
                store(copy[r][s], load_first(corner + r * row_stride + s * all_channels + k, count));
        }
        transform_square<tile, input_tile>(to, {copy[0][0], tile * lanes, lanes}, transform_output_gradient);
    });
}

} // namespace scene::cpu::winograd
