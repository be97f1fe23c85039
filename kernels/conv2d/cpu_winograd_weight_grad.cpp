#include "kernels/conv2d/cpu_winograd.h"
#include "kernels/conv2d/cpu_winograd_tiles.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

using namespace winograd;

/// Scratch: V [36, tiles, C], dM [panel][36, tiles, width] and dU [panel][36, C, width], panels over K.
struct Blocks {
    explicit Blocks(const Conv2dShape& shape)
        : grid(shape), panels(shape.out_channels), inputs(shape.in_channels), row(round_up(inputs, lanes)) {
        // Each block reads and writes all of dU, so blocks grow with it. Small blocks keep V and dM in the caches.
        // Measured on Zen 4: with 64 to 64 channels, 2 MB of V and dM take 0.75 of the time that 40 MB take; with 576
        // to 576 it is the reverse.
        constexpr int64_t least_bytes = 2 << 20, most_bytes = 40 << 20, float_bytes = sizeof(float);
        const int64_t du_bytes = frequencies * inputs * panels.padded_columns() * float_bytes;
        const int64_t tile_bytes = frequencies * (row + panels.padded_columns()) * float_bytes;
        const int64_t bytes = std::clamp(4 * du_bytes, least_bytes, most_bytes);
        tiles = std::clamp(bytes / tile_bytes / 8 * 8, int64_t{8}, round_up(grid.count, 8));
        v_stride = tiles * row + lanes;
    }

    int64_t v_floats() const { return frequencies * v_stride; }
    int64_t m_stride(int64_t panel) const { return tiles * panels.width_of(panel) + lanes; }
    int64_t m_offset(int64_t panel) const { return frequencies * (panels.first_column(panel) * tiles + panel * lanes); }
    int64_t u_stride(int64_t panel) const { return inputs * panels.width_of(panel) + lanes; }
    int64_t u_offset(int64_t panel) const {
        return frequencies * (panels.first_column(panel) * inputs + panel * lanes);
    }

    TileGrid grid;
    Panels panels;
    int64_t inputs, row, tiles, v_stride;
};

/// dw [K, 3, 3, C] = G^T dU G. A work item is a panel of K and a vector of C.
void write_filter_gradients(int threads, float* dw, const float* du, const Blocks& blocks, int64_t outputs) {
    const int64_t inputs = blocks.inputs, chunks = divide_up(inputs, lanes);
    for_chunks(threads, blocks.panels.count * chunks, 1, [&](int64_t item, int64_t) {
        const int64_t panel = item / chunks, first_input = item % chunks * lanes;
        const int64_t last_input = std::min<int64_t>(inputs, first_input + lanes);
        const int64_t width = blocks.panels.width_of(panel), first_output = blocks.panels.first_column(panel);
        for (int64_t column = 0; column < width; column += lanes) {
            alignas(64) float g[lanes][9][lanes]; // [input][tap][output]
            for (int64_t i = first_input; i < last_input; ++i) {
                const float* from = du + blocks.u_offset(panel) + i * width + column;
                transform_square<input_tile, 3>({g[i - first_input][0], 3 * lanes, lanes},
                                                across_matrices(from, blocks.u_stride(panel)),
                                                transform_filter_gradient);
            }
            const int64_t output = first_output + column, last_output = std::min<int64_t>(outputs, output + lanes);
            for (int64_t o = output; o < last_output; ++o) {
                for (int64_t tap = 0; tap < 9; ++tap) {
                    float* to = dw + (o * 9 + tap) * inputs;
                    for (int64_t i = first_input; i < last_input; ++i) to[i] = g[i - first_input][tap][o - output];
                }
            }
        }
    });
}

} // namespace

size_t winograd_weight_grad_scratch_bytes(const Conv2dShape& shape) {
    const Blocks blocks(shape);
    return static_cast<size_t>(blocks.v_floats() + blocks.m_offset(blocks.panels.count) +
                               blocks.u_offset(blocks.panels.count)) *
           sizeof(float);
}

void winograd_weight_grad(int threads, float* dw, const float* dy, const float* x, const float* input_scale,
                          const float* input_shift, void* scratch, const Conv2dShape& shape) {
    const Blocks blocks(shape);
    const int64_t outputs = shape.out_channels;
    float* v = static_cast<float*>(scratch);
    float* dm = v + blocks.v_floats();
    float* du = dm + blocks.m_offset(blocks.panels.count);
    const InputNorm norm{input_scale, input_shift};
    for (int64_t first = 0; first < blocks.grid.count; first += blocks.tiles) {
        const int64_t tiles = std::min(blocks.tiles, blocks.grid.count - first);
        for_chunks(threads, tiles, 8, [&](int64_t begin, int64_t end) {
            for (int64_t t = begin; t < end; ++t) {
                read_input_tile(v + t * blocks.row, blocks.v_stride, x, blocks.inputs, blocks.grid, first + t, norm);
                for (int64_t panel = 0; panel < blocks.panels.count; ++panel) {
                    const int64_t column = blocks.panels.first_column(panel), width = blocks.panels.width_of(panel);
                    read_gradient_tile(dm + blocks.m_offset(panel) + t * width, blocks.m_stride(panel), dy, column,
                                       std::min(width, outputs - column), outputs, blocks.grid, first + t);
                }
            }
        });
        for_chunks(threads, frequencies * blocks.panels.count, 1, [&](int64_t item, int64_t) {
            const int64_t f = item / blocks.panels.count, panel = item % blocks.panels.count;
            const int64_t width = blocks.panels.width_of(panel);
            multiply_panel(du + blocks.u_offset(panel) + f * blocks.u_stride(panel), width,
                           {v + f * blocks.v_stride, 1, blocks.row},
                           dm + blocks.m_offset(panel) + f * blocks.m_stride(panel), width, blocks.inputs,
                           blocks.panels.vectors_of(panel), tiles, first > 0);
        });
    }
    write_filter_gradients(threads, dw, du, blocks, outputs);
}

} // namespace scene::cpu
