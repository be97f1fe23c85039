#include "kernels/conv2d/cpu_winograd.h"

#include <omp.h>

#include "kernels/conv2d/cpu_moments.h"
#include "kernels/conv2d/cpu_winograd_tiles.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

using namespace winograd;

/// A strided view of the 3x3 filters of a convolution from `inputs` to `outputs` channels. Element (tap, i, o) is
/// w[tap*tap_stride + i*input_stride + o*output_stride].
struct Filters {
    const float* w;
    int64_t inputs, outputs, tap_stride, input_stride, output_stride;
};

constexpr int taps = 9;

/// The layout of U [panel][36][inputs][panel width]. Padding of one vector between the matrices keeps the 36 rows that
/// are written together out of the same cache sets.
struct FilterLayout {
    FilterLayout(int64_t new_inputs, int64_t new_outputs)
        : panels(new_outputs), inputs(new_inputs), outputs(new_outputs) {}

    int64_t stride(int64_t panel) const { return inputs * panels.width_of(panel) + lanes; }
    int64_t offset(int64_t panel) const { return frequencies * (panels.first_column(panel) * inputs + panel * lanes); }
    int64_t floats() const { return offset(panels.count); }

    Panels panels;
    int64_t inputs, outputs;
};

/// U = G g G^T.
void transform_filters(int threads, float* u, const Filters& filters, const FilterLayout& layout) {
    const Panels& panels = layout.panels;
    const int64_t chunks = divide_up(filters.inputs, lanes);
    for_chunks(threads, panels.count * chunks, 1, [&](int64_t item, int64_t) {
        const int64_t panel = item / chunks, first_input = item % chunks * lanes;
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
                const Grid<const float> from{g[i - first_input][0] + column, 3 * max_panel_width, max_panel_width};
                float* to = u + layout.offset(panel) + i * width + column;
                transform_square<3, input_tile>(across_matrices(to, layout.stride(panel)), from, transform_filter);
            }
        }
    });
}

/// Writes one tile of y, channels first .. first + channels - 1, from its rows of M [36, ., panel width]: A^T m A, then
/// the epilogue. Adds to `moments`, one per vector of the panel, unless it is null.
void write_output_tile(float* y, const float* m, int64_t matrix_stride, int64_t first, int64_t channels,
                       int64_t all_channels, const TileGrid& grid, int64_t index, const ConvEpilogue& epilogue,
                       VectorMoments* moments) {
    const TileGrid::Place place = grid.place(index);
    float* corner = y + place.pixel * all_channels + first;
    const int64_t row_stride = grid.width * all_channels;
    const int rows = static_cast<int>(std::min<int64_t>(tile, grid.height - place.h));
    const int columns = static_cast<int>(std::min<int64_t>(tile, grid.width - place.w));
    alignas(64) float outputs[tile * tile][lanes];
    for_channel_vectors(channels, [&](int64_t k, auto count) {
        transform_square<input_tile, tile>({outputs[0], tile * lanes, lanes}, across_matrices(m + k, matrix_stride),
                                           transform_output);
        const Vec bias = epilogue.bias ? load_first(epilogue.bias + first + k, count) : Vec{};
        int64_t written = 0;
        for (int r = 0; r < rows; ++r) {
            for (int s = 0; s < columns; ++s) {
                Vec value = load(outputs[r * tile + s]);
                if (epilogue.bias) value += bias;
                if (epilogue.relu) value = positive_part(value);
                store_first(corner + r * row_stride + s * all_channels + k, value, count);
                store(outputs[written++], value); // packs those inside the image, for the moments
            }
        }
        if (moments) moments[k / lanes].add(outputs[0], lanes, written, lanes);
    });
}

/// How the tiles of a pass are split into blocks, by the shape alone:
/// - private: one thread makes the V of a block and uses it, in its L2 cache. Chosen if enough tiles fit there, since
///   each block reads all of U.
/// - shared: all threads work on one block, with V in the L3 cache.
struct Blocks {
    Blocks(const Conv2dShape& shape, int64_t inputs, int64_t outputs)
        : grid(shape), filters(inputs, outputs), row(round_up(inputs, lanes)) {
        constexpr int64_t private_bytes = 640 << 10, least_private_tiles = 24, shared_bytes = 12 << 20;
        const int64_t tile_bytes = frequencies * row * static_cast<int64_t>(sizeof(float));
        is_private = private_bytes / tile_bytes >= least_private_tiles;
        const int64_t fitting = is_private ? std::min(chunk, private_bytes / tile_bytes / tile_rows * tile_rows)
                                           : std::max(chunk, shared_bytes / tile_bytes / chunk * chunk);
        tiles = std::min(fitting, round_up(grid.count, tile_rows));
        // One vector of padding keeps a tile's rows in the 36 matrices out of the same cache sets.
        v_stride = tiles * row + lanes;
        m_stride = chunk * max_panel_width + lanes;
    }

    static constexpr int64_t chunk = 64; ///< tiles that are multiplied and transformed back together: M stays in L2

    int64_t v_floats() const { return frequencies * v_stride; }
    int64_t m_floats() const { return frequencies * m_stride; }
    /// Tiles in one group of the statistics.
    int64_t group() const { return is_private ? tiles : chunk; }
    int64_t groups() const { return divide_up(grid.count, group()); }
    /// V and M of all threads.
    int64_t block_floats(int threads) const { return (is_private ? threads : 1) * v_floats() + threads * m_floats(); }
    /// V, M and the statistics, without U.
    size_t scratch_bytes(int threads) const {
        return static_cast<size_t>(block_floats(threads)) * sizeof(float) +
               GroupMoments::bytes(groups(), filters.outputs);
    }

    TileGrid grid;
    FilterLayout filters;
    bool is_private;
    int64_t row, tiles, v_stride, m_stride;
};

/// One pass over a batch: y from x with the transformed filters u.
class Convolution {
public:
    Convolution(int threads, float* y, const float* x, const float* u, InputNorm norm, const ConvEpilogue& epilogue,
                float* scratch, const Blocks& blocks)
        : threads_(threads), y_(y), x_(x), norm_(norm), epilogue_(epilogue), blocks_(blocks), u_(u), m_(scratch),
          v_(m_ + threads * blocks.m_floats()) {
        if (epilogue.mean)
            moments_ = GroupMoments(scratch + blocks.block_floats(threads), blocks.groups(), blocks.filters.outputs);
    }

    void run() const {
        convolve();
        if (moments_) moments_.merge(threads_, epilogue_.mean, epilogue_.variance);
    }

private:
    void convolve() const {
        const int64_t all = blocks_.grid.count, panels = blocks_.filters.panels.count;
        if (blocks_.is_private) {
            return for_chunks(threads_, all, blocks_.tiles, [&](int64_t begin, int64_t end) {
                float* v = v_ + omp_get_thread_num() * blocks_.v_floats();
                read(v, begin, begin, end);
                for (int64_t panel = 0; panel < panels; ++panel) multiply(v, begin, begin, end, panel);
            });
        }
        for (int64_t first = 0; first < all; first += blocks_.tiles) {
            const int64_t tiles = std::min(blocks_.tiles, all - first);
            for_chunks(threads_, tiles, 8,
                       [&](int64_t begin, int64_t end) { read(v_, first, first + begin, first + end); });
            const int64_t chunks = divide_up(tiles, Blocks::chunk);
            for_chunks(threads_, panels * chunks, 1, [&](int64_t item, int64_t) {
                const int64_t begin = item % chunks * Blocks::chunk, end = std::min(tiles, begin + Blocks::chunk);
                multiply(v_, first, first + begin, first + end, item / chunks);
            });
        }
    }

    /// Writes the rows of V of the tiles [begin, end). V starts with tile `first`.
    void read(float* v, int64_t first, int64_t begin, int64_t end) const {
        for (int64_t t = begin; t < end; ++t)
            read_input_tile(v + (t - first) * blocks_.row, blocks_.v_stride, x_, blocks_.filters.inputs, blocks_.grid,
                            t, norm_);
    }

    /// Writes the channels of one panel of y for the tiles [begin, end), at most `chunk`. V starts with tile `first`.
    void multiply(const float* v, int64_t first, int64_t begin, int64_t end, int64_t panel) const {
        const FilterLayout& layout = blocks_.filters;
        const int64_t width = layout.panels.width_of(panel), column = layout.panels.first_column(panel);
        const float* u = u_ + layout.offset(panel);
        float* m = m_ + omp_get_thread_num() * blocks_.m_floats();
        for (int64_t f = 0; f < frequencies; ++f) {
            const MatrixView rows{v + f * blocks_.v_stride + (begin - first) * blocks_.row, blocks_.row, 1};
            multiply_panel(m + f * blocks_.m_stride, width, rows, u + f * layout.stride(panel), width, end - begin,
                           layout.panels.vectors_of(panel), layout.inputs, false);
        }
        const int64_t channels = std::min(width, layout.outputs - column);
        VectorMoments moments[max_panel_vectors];
        for (int64_t t = begin; t < end; ++t)
            write_output_tile(y_, m + (t - begin) * width, blocks_.m_stride, column, channels, layout.outputs,
                              blocks_.grid, t, epilogue_, moments_ ? moments : nullptr);
        if (moments_) moments_.set(begin / blocks_.group(), column, channels, moments);
    }

    int threads_;
    float* y_;
    const float* x_;
    InputNorm norm_;
    ConvEpilogue epilogue_;
    GroupMoments moments_;
    const Blocks& blocks_;
    const float* u_;
    float *m_, *v_;
};

Filters forward_filters(const float* w, const Conv2dShape& shape) {
    return {w, shape.in_channels, shape.out_channels, shape.in_channels, 1, taps * shape.in_channels};
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
    return static_cast<size_t>(blocks.filters.floats()) * sizeof(float) + blocks.scratch_bytes(threads);
}

PreparedWeights winograd_prepared_weights(int threads, const Conv2dShape& shape) {
    // Making U costs as much as multiplying about 20 tiles by it.
    constexpr int64_t most_tiles = 1024;
    const Blocks blocks(shape, shape.in_channels, shape.out_channels);
    if (blocks.grid.count > most_tiles) return {};
    return {blocks.filters.floats(), blocks.scratch_bytes(threads)};
}

void winograd_prepare_weights(int threads, float* u, const float* w, const Conv2dShape& shape) {
    transform_filters(threads, u, forward_filters(w, shape), FilterLayout(shape.in_channels, shape.out_channels));
}

void winograd_forward(int threads, const WinogradForward& operands, void* scratch, const Conv2dShape& shape) {
    const InputNorm norm{operands.input_scale, operands.input_shift};
    const Blocks blocks(shape, shape.in_channels, shape.out_channels);
    auto* memory = static_cast<float*>(scratch);
    const float* u = operands.u;
    if (!u) {
        transform_filters(threads, memory, forward_filters(operands.w, shape), blocks.filters);
        u = memory;
        memory += blocks.filters.floats();
    }
    Convolution(threads, operands.y, operands.x, u, norm, operands.epilogue, memory, blocks).run();
}

void winograd_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch,
                        const Conv2dShape& shape) {
    const int64_t in = shape.in_channels, out = shape.out_channels;
    const Filters rotated{w + (taps - 1) * in, out, in, -in, taps * in, 1};
    const Blocks blocks(shape, out, in);
    auto* u = static_cast<float*>(scratch);
    transform_filters(threads, u, rotated, blocks.filters);
    Convolution(threads, dx, dy, u, {}, {}, u + blocks.filters.floats(), blocks).run();
}

} // namespace scene::cpu
