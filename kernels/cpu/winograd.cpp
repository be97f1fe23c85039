#include "kernels/cpu/winograd.h"

#include <omp.h>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_tiles.h"

namespace scene::cpu {
namespace {

using namespace winograd;

/// The 3x3 filters of a convolution from `inputs` to `outputs` channels, wherever they lie: element (tap, i, o) is
/// w[tap*tap_stride + i*input_stride + o*output_stride].
struct Filters {
    const float* w;
    int64_t inputs, outputs, tap_stride, input_stride, output_stride;
};

constexpr int taps = 9;

/// Where U [panel][36][inputs][panel width] keeps its matrices. A vector between them keeps the 36 rows that are
/// written together from meeting in the same sets of the caches.
struct FilterLayout {
    FilterLayout(int64_t new_inputs, int64_t outputs) : panels(outputs), inputs(new_inputs) {}

    int64_t stride(int64_t panel) const { return inputs * panels.width_of(panel) + lanes; }
    int64_t offset(int64_t panel) const { return frequencies * (panels.first_column(panel) * inputs + panel * lanes); }
    int64_t floats() const { return offset(panels.count); }

    Panels panels;
    int64_t inputs;
};

/// U = G g G^T.
void transform_filters(int threads, float* u, const Filters& filters, const FilterLayout& layout) {
    const Panels& panels = layout.panels;
    const int64_t chunks = divide_up(filters.inputs, lanes);
    for_pieces(threads, panels.count * chunks, 1, [&](int64_t piece, int64_t) {
        const int64_t panel = piece / chunks, first_input = piece % chunks * lanes;
        const int64_t last_input = std::min<int64_t>(filters.inputs, first_input + lanes);
        const int64_t width = panels.width_of(panel), first_output = panels.first_column(panel);
        const int64_t count = std::min(width, filters.outputs - first_output);
        alignas(64) float g[lanes][taps][max_panel_width] = {}; // [input][tap][output]
        for (int64_t o = 0; o < count; ++o) {
            for (int64_t tap = 0; tap < taps; ++tap) {
                const float* from = filters.w + tap * filters.tap_stride + (first_output + o) * filters.output_stride;
                for (int64_t i = first_input; i < last_input; ++i)
                    g[i - first_input][tap][o] = from[i * filters.input_stride];
            }
        }
        for (int64_t i = first_input; i < last_input; ++i) {
            for (int64_t column = 0; column < width; column += lanes) {
                const auto& filter = g[i - first_input];
                float* to = u + layout.offset(panel) + i * width + column;
                Vec half[window][3];
#pragma GCC unroll 3
                for (int s = 0; s < 3; ++s) {
                    const Vec taps_of_column[3] = {load(filter[s] + column), load(filter[3 + s] + column),
                                                   load(filter[6 + s] + column)};
                    Vec transformed[window];
                    transform_filter(transformed, taps_of_column);
#pragma GCC unroll 6
                    for (int r = 0; r < window; ++r) half[r][s] = transformed[r];
                }
#pragma GCC unroll 6
                for (int r = 0; r < window; ++r) {
                    Vec row[window];
                    transform_filter(row, half[r]);
#pragma GCC unroll 6
                    for (int s = 0; s < window; ++s) store(to + (r * window + s) * layout.stride(panel), row[s]);
                }
            }
        }
    });
}

struct Epilogue {
    const float* bias = nullptr;
    bool relu = false;
};

/// One tile of y from its rows of M [36, ., panel width]: A^T m A, then bias and relu.
void write_output_tile(float* y, const float* m, int64_t matrix_stride, int64_t first, int64_t channels,
                       int64_t all_channels, const TileGrid& grid, int64_t index, Epilogue epilogue) {
    const auto [pixel, h, w] = grid.place(index);
    float* corner = y + pixel * all_channels + first;
    const int64_t row_stride = grid.width * all_channels;
    const int rows = static_cast<int>(std::min<int64_t>(tile, grid.height - h));
    const int columns = static_cast<int>(std::min<int64_t>(tile, grid.width - w));
    for_channel_vectors(channels, [&](int64_t k, auto count) {
        const Vec bias = epilogue.bias ? load_first(epilogue.bias + first + k, count) : Vec{};
        Vec half[tile][window];
#pragma GCC unroll 6
        for (int s = 0; s < window; ++s) {
            Vec from[window], column[tile];
#pragma GCC unroll 6
            for (int r = 0; r < window; ++r) from[r] = load(m + (r * window + s) * matrix_stride + k);
            transform_output(column, from);
#pragma GCC unroll 4
            for (int r = 0; r < tile; ++r) half[r][s] = column[r];
        }
#pragma GCC unroll 4
        for (int r = 0; r < tile; ++r) {
            Vec row[tile];
            transform_output(row, half[r]);
            if (r >= rows) continue;
#pragma GCC unroll 4
            for (int s = 0; s < tile; ++s) {
                if (s >= columns) continue;
                Vec value = row[s];
                if (epilogue.bias) value += bias;
                if (epilogue.relu) value = value > 0 ? value : Vec{};
                store_first(corner + r * row_stride + s * all_channels + k, value, count);
            }
        }
    });
}

/// How a pass over the tiles is cut, by its size alone.
struct Blocks {
    Blocks(const Conv2dShape& shape, int64_t inputs, int64_t outputs)
        : grid(shape), filters(inputs, outputs), row(round_up(inputs, lanes)) {
        const int64_t fitting = v_bytes / (frequencies * row * static_cast<int64_t>(sizeof(float)));
        tiles = std::clamp(fitting / strip * strip, strip, round_up(grid.count, strip));
        // A vector between the matrices keeps their rows from meeting in the same sets of the caches.
        v_stride = tiles * row + lanes;
        m_stride = strip * max_panel_width + lanes;
    }

    static constexpr int64_t strip = 64;         ///< tiles multiplied and transformed back together: M stays in L2
    static constexpr int64_t v_bytes = 12 << 20; ///< V stays in L3

    int64_t v_floats() const { return frequencies * v_stride; }
    int64_t m_floats() const { return frequencies * m_stride; }

    TileGrid grid;
    FilterLayout filters;
    int64_t row, tiles, v_stride, m_stride;
};

template <bool normalized> void convolve(int threads, float* y, const float* x, const Filters& filters, InputNorm norm,
                                         Epilogue epilogue, float* scratch, const Blocks& blocks) {
    const TileGrid& grid = blocks.grid;
    const FilterLayout& layout = blocks.filters;
    float* u = scratch;
    float* v = u + layout.floats();
    float* products = v + blocks.v_floats();
    transform_filters(threads, u, filters, layout);
    for (int64_t first = 0; first < grid.count; first += blocks.tiles) {
        const int64_t tiles = std::min(blocks.tiles, grid.count - first);
        for_pieces(threads, tiles, 8, [&](int64_t begin, int64_t end) {
            for (int64_t t = begin; t < end; ++t)
                read_input_tile<normalized>(v + t * blocks.row, blocks.v_stride, x, filters.inputs, grid, first + t,
                                            norm);
        });
        const int64_t strips = divide_up(tiles, Blocks::strip);
        for_pieces(threads, layout.panels.count * strips, 1, [&](int64_t piece, int64_t) {
            const int64_t panel = piece / strips, begin = piece % strips * Blocks::strip;
            const int64_t count = std::min(Blocks::strip, tiles - begin);
            const int64_t width = layout.panels.width_of(panel), column = layout.panels.first_column(panel);
            float* m = products + omp_get_thread_num() * blocks.m_floats();
            for (int64_t f = 0; f < frequencies; ++f) {
                const MatrixView rows{v + f * blocks.v_stride + begin * blocks.row, blocks.row, 1};
                multiply_panel(m + f * blocks.m_stride, width, rows,
                               u + layout.offset(panel) + f * layout.stride(panel), width, count,
                               layout.panels.vectors_of(panel), filters.inputs, false);
            }
            const int64_t channels = std::min(width, filters.outputs - column);
            for (int64_t t = 0; t < count; ++t)
                write_output_tile(y, m + t * width, blocks.m_stride, column, channels, filters.outputs, grid,
                                  first + begin + t, epilogue);
        });
    }
}

} // namespace

bool winograd_suits(const Conv2dShape& shape) {
    return shape.kernel == 3 && shape.stride == 1 && shape.padding == 1 && shape.in_channels >= lanes &&
           shape.out_channels >= lanes;
}

size_t winograd_scratch_bytes(int threads, const Conv2dShape& shape, ConvPass pass) {
    if (pass == ConvPass::WeightGrad) return winograd_weight_grad_scratch_bytes(shape);
    const bool forward = pass == ConvPass::Forward;
    const int64_t inputs = forward ? shape.in_channels : shape.out_channels;
    const int64_t outputs = forward ? shape.out_channels : shape.in_channels;
    const Blocks blocks(shape, inputs, outputs);
    return static_cast<size_t>(blocks.filters.floats() + blocks.v_floats() + threads * blocks.m_floats()) *
           sizeof(float);
}

void winograd_forward(int threads, const WinogradForward& operands, void* scratch, const Conv2dShape& shape) {
    const int64_t in = shape.in_channels, out = shape.out_channels;
    const Filters filters{operands.w, in, out, in, 1, taps * in};
    const auto run = operands.input_scale ? convolve<true> : convolve<false>;
    run(threads, operands.y, operands.x, filters, {operands.input_scale, operands.input_shift},
        {operands.bias, operands.relu}, static_cast<float*>(scratch), Blocks(shape, in, out));
}

void winograd_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch,
                        const Conv2dShape& shape) {
    const int64_t in = shape.in_channels, out = shape.out_channels;
    const Filters rotated{w + (taps - 1) * in, out, in, -in, taps * in, 1};
    convolve<false>(threads, dx, dy, rotated, {}, {}, static_cast<float*>(scratch), Blocks(shape, out, in));
}

} // namespace scene::cpu
