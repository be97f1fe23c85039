#pragma once

// The transposed convolution of few input channels: lines of values at the output's positions, multiplied with weights
// for each tap and added up over the input. A block works on a piece of a clip, line by line.

#include "kernels/cuda/conv2d_thin.h"

namespace scene::cuda {

/// A block's shared memory, at most, on every device of compute capability 9.0.
constexpr size_t most_shared_bytes = 227 * 1024;

/// What a clip is cut into: enough pieces for all multiprocessors.
struct Cut {
    int pieces_per_clip, lines_per_piece;

    explicit Cut(const Sizes& size) {
        const int64_t wanted = std::clamp<int64_t>(divide_up(4 * multiprocessors, size.clips), 1, size.out_height);
        lines_per_piece = static_cast<int>(divide_up(size.out_height, wanted));
        pieces_per_clip = static_cast<int>(divide_up(size.out_height, lines_per_piece));
    }
    int64_t pieces(const Sizes& size) const { return size.clips * pieces_per_clip; }
};

/// A block's part of a clip: it reads output lines first_line to end_line - 1 for the sums, and with them the lines
/// around that reach into its input rows first_row to end_row - 1, which it writes.
struct Piece {
    int64_t clip;
    int first_line, end_line, first_row, end_row;
    int first_reaching, end_reaching; ///< lines; they include first_line to end_line - 1

    __device__ Piece(const Sizes& size, const Cut& cut) {
        clip = blockIdx.x / static_cast<unsigned>(cut.pieces_per_clip);
        first_line = static_cast<int>(blockIdx.x % static_cast<unsigned>(cut.pieces_per_clip)) * cut.lines_per_piece;
        end_line = first_line + cut.lines_per_piece;
        if (end_line > size.out_height) end_line = size.out_height;
        first_row = first_line * size.stride;
        end_row = end_line * size.stride;
        if (end_line == size.out_height || end_row > size.height) end_row = size.height;
        const int before = first_row + size.padding - size.kernel;
        first_reaching = before < 0 ? 0 : before / size.stride + 1;
        const int behind = (end_row - 1 + size.padding) / size.stride + 1;
        end_reaching = behind < size.out_height ? behind : size.out_height;
    }
};

/// Shared memory of the product of a line's values [Q, depth] with weights [T, depth], and of the input rows that its
/// products are added to. The pitch is such that lanes at neighbouring positions read different banks.
struct SpreadLayout {
    int pitch, depth_quads, items, slices, ring_floats;

    __host__ __device__ SpreadLayout(const Sizes& size, int depth) {
        depth_quads = (depth + quad - 1) / quad;
        pitch = (depth_quads % 2 == 1 ? depth_quads : depth_quads + 1) * quad;
        items = size.quads_across() * size.tap_groups();
        slices = items < block_threads ? block_threads / items : 1;
        if (slices > depth_quads) slices = depth_quads;
        ring_floats = (size.kernel * size.width * size.channels + quad - 1) / quad * quad;
    }
    __host__ __device__ int weight_floats(const Sizes& size) const { return size.taps() * pitch; }
    __host__ __device__ int value_floats(const Sizes& size) const { return size.out_width * pitch; }
    __host__ __device__ int product_floats() const { return slices * quad * tap_group * items; }
    __host__ __device__ int floats(const Sizes& size) const {
        return weight_floats(size) + value_floats(size) + product_floats() + ring_floats;
    }
};

/// dx += the transposed convolution of lines of values with weights, row by row: a ring holds the `kernel` input rows
/// under the current line, and a row is handed on when no later line reaches it.
class Spread {
public:
    float* weights; ///< [T, pitch], to be filled; zeros beyond the depth
    float* values;  ///< [Q, pitch], of the current line

    __device__ Spread(float* shared, const Sizes& size, int depth, const Piece& piece)
        : weights(shared), size_(size), layout_(size, depth), next_row_(piece.first_row), end_row_(piece.end_row) {
        values = weights + layout_.weight_floats(size);
        products_ = values + layout_.value_floats(size);
        ring_ = products_ + layout_.product_floats();
        for (int i = static_cast<int>(threadIdx.x); i < layout_.ring_floats; i += block_threads) ring_[i] = 0;
    }
    __device__ int pitch() const { return layout_.pitch; }

    /// Calls write(row, column, value) for every value of the piece's rows that lines from p on do not reach: their
    /// sums are complete. A barrier lies between this and `add_line`, on both sides.
    template <typename Write> __device__ void hand_on_above(int p, Write&& write) {
        const int above = p * size_.stride - size_.padding;
        hand_on(above < end_row_ ? above : end_row_, write);
    }
    template <typename Write> __device__ void hand_on_rest(Write&& write) { hand_on(end_row_, write); }

    /// A line's values: set(q, k, quad) fills those at position q from depth k on, zeros beyond the depth.
    template <typename Set> __device__ void load_values(Set&& set) {
        for (int i = static_cast<int>(threadIdx.x); i < size_.out_width * layout_.depth_quads; i += block_threads) {
            const int q = i / layout_.depth_quads, k = i % layout_.depth_quads * quad;
            float of_quad[quad];
            set(q, k, of_quad);
            store(values + q * layout_.pitch + k, of_quad);
        }
    }

    /// Adds output line p, whose values and the weights must be there, seen by all threads.
    __device__ void add_line(int p) {
        multiply();
        __syncthreads();
        gather(p * size_.stride - size_.padding);
    }

private:
    template <typename Write> __device__ void hand_on(int row, Write&& write) {
        const int line_values = size_.width * size_.channels;
        for (; next_row_ < row; ++next_row_) {
            for (int i = static_cast<int>(threadIdx.x); i < line_values; i += block_threads) {
                float& sum = ring_[next_row_ % size_.kernel * line_values + i];
                write(next_row_, i, sum);
                sum = 0;
            }
        }
    }

    /// products [slices, position, tap, items]: positions of an item lie quads_across apart.
    __device__ void multiply() {
        const int across = size_.quads_across();
        for (int i = static_cast<int>(threadIdx.x); i < layout_.items * layout_.slices; i += block_threads) {
            const int item = i % layout_.items, slice = i / layout_.items;
            const int first_tap = item / across * tap_group;
            const float *value[quad], *weight[tap_group];
#pragma unroll
            for (int position = 0; position < quad; ++position) {
                const int q = item % across + position * across;
                value[position] = values + (q < size_.out_width ? q : size_.out_width - 1) * layout_.pitch;
            }
#pragma unroll
            for (int t = 0; t < tap_group; ++t)
                weight[t] = weights + (first_tap + t < size_.taps() ? first_tap + t : 0) * layout_.pitch;
            float sum[quad][tap_group] = {};
            for (int k = slice * quad; k < layout_.depth_quads * quad; k += layout_.slices * quad) {
                float of_position[quad][quad];
#pragma unroll
                for (int position = 0; position < quad; ++position) load(of_position[position], value[position] + k);
#pragma unroll
                for (int t = 0; t < tap_group; ++t) {
                    float factor[quad];
                    load(factor, weight[t] + k);
#pragma unroll
                    for (int position = 0; position < quad; ++position) {
#pragma unroll
                        for (int v = 0; v < quad; ++v)
                            sum[position][t] = fmaf(of_position[position][v], factor[v], sum[position][t]);
                    }
                }
            }
#pragma unroll
            for (int position = 0; position < quad; ++position) {
#pragma unroll
                for (int t = 0; t < tap_group; ++t)
                    products_[((slice * quad + position) * tap_group + t) * layout_.items + item] = sum[position][t];
            }
        }
    }

    __device__ void gather(int first_row) {
        const int line_values = size_.width * size_.channels, across = size_.quads_across();
        for (int i = static_cast<int>(threadIdx.x); i < size_.kernel * line_values; i += block_threads) {
            const int r = i / line_values, column = i % line_values, row = first_row + r;
            if (row < next_row_ || row >= size_.height) continue;
            const int w = column / size_.channels + size_.padding, c = column % size_.channels;
            float total = 0;
            for (int s = 0; s < size_.kernel && s <= w; ++s) {
                const int q = (w - s) / size_.stride;
                if (q * size_.stride != w - s || q >= size_.out_width) continue;
                const int tap = (r * size_.kernel + s) * size_.channels + c;
                const int item = q % across + tap / tap_group * across;
                for (int slice = 0; slice < layout_.slices; ++slice)
                    total +=
                        products_[((slice * quad + q / across) * tap_group + tap % tap_group) * layout_.items + item];
            }
            ring_[row % size_.kernel * line_values + column] += total;
        }
    }

    const Sizes& size_;
    SpreadLayout layout_;
    float *products_, *ring_;
    int next_row_; ///< the first that has not been handed on
    int end_row_;
};

/// Shared memory of a block that spreads values of this depth, with a strip of input lines in front.
inline size_t spread_bytes(const Sizes& size, int depth) {
    return static_cast<size_t>(size.strip_floats(1) + quad + SpreadLayout(size, depth).floats(size)) * sizeof(float);
}

} // namespace scene::cuda
