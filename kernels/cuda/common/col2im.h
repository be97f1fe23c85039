#pragma once

// The data gradient of a small-channel (stem) convolution, a transposed convolution: a GEMM multiplies the values of an
// output row with the weights of each patch element, and col2im adds the products to the input rows under that output
// row. A block works on a chunk of a clip, one output row after another.

#include "kernels/cuda/common/im2col.h"

namespace scene::cuda {

/// Splits clips into chunks of output rows: four chunks for each multiprocessor, if there are enough rows.
struct ChunkTiling {
    int chunks_per_clip, rows_per_chunk; ///< output rows

    explicit ChunkTiling(const StemSizes& size) {
        const int64_t wanted = std::clamp<int64_t>(divide_up(4 * multiprocessors, size.clips), 1, size.out_height);
        rows_per_chunk = static_cast<int>(divide_up(size.out_height, wanted));
        chunks_per_clip = static_cast<int>(divide_up(size.out_height, rows_per_chunk));
    }
    int64_t chunks(const StemSizes& size) const { return size.clips * chunks_per_clip; }
};

/// A block's part of a clip. The block owns output rows first_out to end_out - 1, over which it sums, and input rows
/// first_in to end_in - 1, which it writes. Output rows halo_first to halo_end - 1 contribute to those input rows.
struct Chunk {
    int64_t clip;
    int first_out, end_out, first_in, end_in;
    int halo_first, halo_end; ///< include first_out to end_out - 1

    __device__ Chunk(const StemSizes& size, const ChunkTiling& tiling) {
        const auto chunks_per_clip = static_cast<unsigned>(tiling.chunks_per_clip);
        clip = blockIdx.x / chunks_per_clip;
        first_out = static_cast<int>(blockIdx.x % chunks_per_clip) * tiling.rows_per_chunk;
        end_out = first_out + tiling.rows_per_chunk;
        if (end_out > size.out_height) end_out = size.out_height;
        first_in = first_out * size.stride;
        end_in = end_out * size.stride;
        if (end_out == size.out_height || end_in > size.height) end_in = size.height;
        const int before = first_in + size.padding - size.kernel;
        halo_first = before < 0 ? 0 : before / size.stride + 1;
        const int behind = (end_in - 1 + size.padding) / size.stride + 1;
        halo_end = behind < size.out_height ? behind : size.out_height;
    }
};

/// Shared memory of the product of an output row's values [Q, depth] and weights [T, depth], and of the input rows that
/// the products are added to. The pitch is an odd number of vec4s, so that lanes at neighbouring positions read
/// different banks.
struct Col2imLayout {
    int pitch, depth_vec4s, tiles, splits, ring_floats;

    __host__ __device__ Col2imLayout(const StemSizes& size, int depth) {
        depth_vec4s = (depth + vec4 - 1) / vec4;
        pitch = (depth_vec4s % 2 == 1 ? depth_vec4s : depth_vec4s + 1) * vec4;
        tiles = size.position_tiles() * size.patch_tiles();
        splits = tiles < block_threads ? block_threads / tiles : 1;
        if (splits > depth_vec4s) splits = depth_vec4s;
        ring_floats = (size.kernel * size.width * size.channels + vec4 - 1) / vec4 * vec4;
    }
    __host__ __device__ int weight_floats(const StemSizes& size) const { return size.patch() * pitch; }
    __host__ __device__ int value_floats(const StemSizes& size) const { return size.out_width * pitch; }
    __host__ __device__ int product_floats() const { return splits * vec4 * patch_tile * tiles; }
    __host__ __device__ int floats(const StemSizes& size) const {
        return weight_floats(size) + value_floats(size) + product_floats() + ring_floats;
    }
};

/// A ring buffer holds the `kernel` input rows under the current output row. When no later output row reaches an input
/// row, it is retired: written and cleared.
class Col2im {
public:
    float* weights; ///< [T, pitch], to be filled by the caller; zeros beyond the depth
    float* values;  ///< [Q, pitch], of the current output row

    __device__ Col2im(float* shared, const StemSizes& size, int depth, const Chunk& chunk)
        : weights(shared), size_(size), layout_(size, depth), next_row_(chunk.first_in), end_row_(chunk.end_in) {
        values = weights + layout_.weight_floats(size);
        products_ = values + layout_.value_floats(size);
        ring_ = products_ + layout_.product_floats();
        for (int i = static_cast<int>(threadIdx.x); i < layout_.ring_floats; i += block_threads) ring_[i] = 0;
    }
    __device__ int pitch() const { return layout_.pitch; }

    /// Retires the chunk's input rows that no output row from p on reaches, whose sums are therefore complete: calls
    /// write(row, column, value) for each of their values. The caller puts barriers between this call and
    /// `add_row`, before and after.
    template <typename Write> __device__ void retire_before(int p, Write&& write) {
        const int above = p * size_.stride - size_.padding;
        retire(above < end_row_ ? above : end_row_, write);
    }
    template <typename Write> __device__ void retire_rest(Write&& write) { retire(end_row_, write); }

    /// Fills `values`: set(q, k, to) gives the four of position q from depth k on, zeros beyond the depth.
    template <typename Set> __device__ void load_values(Set&& set) {
        for (int i = static_cast<int>(threadIdx.x); i < size_.out_width * layout_.depth_vec4s; i += block_threads) {
            const int q = i / layout_.depth_vec4s, k = i % layout_.depth_vec4s * vec4;
            float of_position[vec4];
            set(q, k, of_position);
            store(values + q * layout_.pitch + k, of_position);
        }
    }

    /// Adds output row p. All threads must see its values and the weights: there is a barrier before it.
    __device__ void add_row(int p) {
        multiply();
        __syncthreads();
        gather(p * size_.stride - size_.padding);
    }

private:
    template <typename Write> __device__ void retire(int row, Write&& write) {
        const int row_values = size_.width * size_.channels;
        for (; next_row_ < row; ++next_row_) {
            for (int i = static_cast<int>(threadIdx.x); i < row_values; i += block_threads) {
                float& sum = ring_[next_row_ % size_.kernel * row_values + i];
                write(next_row_, i, sum);
                sum = 0;
            }
        }
    }

    /// products [splits, position, element, tiles]. The positions of a tile are position_tiles apart.
    __device__ void multiply() {
        const int across = size_.position_tiles();
        for (int i = static_cast<int>(threadIdx.x); i < layout_.tiles * layout_.splits; i += block_threads) {
            const int tile = i % layout_.tiles, split = i / layout_.tiles;
            const int first_element = tile / across * patch_tile;
            const float *value[vec4], *weight[patch_tile];
#pragma unroll
            for (int position = 0; position < vec4; ++position) {
                const int q = tile % across + position * across;
                value[position] = values + (q < size_.out_width ? q : size_.out_width - 1) * layout_.pitch;
            }
#pragma unroll
            for (int t = 0; t < patch_tile; ++t)
                weight[t] = weights + (first_element + t < size_.patch() ? first_element + t : 0) * layout_.pitch;
            float sum[vec4][patch_tile] = {};
            for (int k = split * vec4; k < layout_.depth_vec4s * vec4; k += layout_.splits * vec4) {
                float of_position[vec4][vec4];
#pragma unroll
                for (int position = 0; position < vec4; ++position) load(of_position[position], value[position] + k);
#pragma unroll
                for (int t = 0; t < patch_tile; ++t) {
                    float factor[vec4];
                    load(factor, weight[t] + k);
#pragma unroll
                    for (int position = 0; position < vec4; ++position) {
#pragma unroll
                        for (int v = 0; v < vec4; ++v)
                            sum[position][t] = fmaf(of_position[position][v], factor[v], sum[position][t]);
                    }
                }
            }
#pragma unroll
            for (int position = 0; position < vec4; ++position) {
#pragma unroll
                for (int t = 0; t < patch_tile; ++t)
                    products_[((split * vec4 + position) * patch_tile + t) * layout_.tiles + tile] = sum[position][t];
            }
        }
    }

    /// Adds the products to the `kernel` input rows from first_row on, except retired ones.
    __device__ void gather(int first_row) {
        const int row_values = size_.width * size_.channels, across = size_.position_tiles();
        for (int i = static_cast<int>(threadIdx.x); i < size_.kernel * row_values; i += block_threads) {
            const int r = i / row_values, column = i % row_values, row = first_row + r;
            if (row < next_row_ || row >= size_.height) continue;
            const int w = column / size_.channels + size_.padding, c = column % size_.channels;
            float total = 0;
            for (int s = 0; s < size_.kernel && s <= w; ++s) {
                const int q = (w - s) / size_.stride;
                if (q * size_.stride != w - s || q >= size_.out_width) continue;
                const int element = (r * size_.kernel + s) * size_.channels + c;
                const int tile = q % across + element / patch_tile * across;
                for (int split = 0; split < layout_.splits; ++split)
                    total +=
                        products_[((split * vec4 + q / across) * patch_tile + element % patch_tile) * layout_.tiles +
                                  tile];
            }
            ring_[row % size_.kernel * row_values + column] += total;
        }
    }

    const StemSizes& size_;
    Col2imLayout layout_;
    float *products_, *ring_;
    int next_row_; ///< the first that is not retired
    int end_row_;
};

/// Bytes of shared memory of a block with an input tile and one vec4 before a Col2im of this depth.
inline size_t col2im_bytes(const StemSizes& size, int depth) {
    return static_cast<size_t>(size.input_floats(1) + vec4 + Col2imLayout(size, depth).floats(size)) * sizeof(float);
}

} // namespace scene::cuda
