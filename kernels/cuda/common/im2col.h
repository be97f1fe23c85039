#pragma once

// What the kernels of small-channel (stem) convolutions share: sizes, input tiles and weights in shared memory, and the
// weight gradient's GEMM. An im2col patch is what one output position sees of the input: T = R*S*C elements, zeros in
// the padding.

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {

constexpr int vec4 = 4;             ///< output channels, and output positions, of a thread's register tile
constexpr int most_in_channels = 4; ///< of a stem convolution
constexpr int tile_out_rows = 4;    ///< output rows of one tile
constexpr int patch_tile = 5;       ///< patch elements of a thread's register tile

/// Sizes as the kernels use them.
struct StemSizes {
    int height, width, channels, out_height, out_width, out_channels, kernel, stride, padding;
    int64_t clips, out_rows; ///< out_rows: clips*out_height

    explicit StemSizes(const Conv2dShape& shape)
        : height(static_cast<int>(shape.height)), width(static_cast<int>(shape.width)),
          channels(static_cast<int>(shape.in_channels)), out_height(static_cast<int>(shape.out_height())),
          out_width(static_cast<int>(shape.out_width())), out_channels(static_cast<int>(shape.out_channels)),
          kernel(static_cast<int>(shape.kernel)), stride(static_cast<int>(shape.stride)),
          padding(static_cast<int>(shape.padding)), clips(shape.batch), out_rows(shape.batch * shape.out_height()) {}

    /// T, the elements of a patch.
    __host__ __device__ int patch() const { return kernel * kernel * channels; }
    __host__ __device__ int patch_tiles() const { return (patch() + patch_tile - 1) / patch_tile; }
    /// Output channels rounded up to a multiple of 4: the pitch of the weights in shared memory.
    __host__ __device__ int padded_channels() const { return (out_channels + vec4 - 1) / vec4 * vec4; }
    /// Register tiles of four output positions in an output row.
    __host__ __device__ int position_tiles() const { return (out_width + vec4 - 1) / vec4; }
    /// Floats of one row of an input tile, padding included: up to what the last tile of four positions reads.
    __host__ __device__ int input_pitch() const { return ((position_tiles() * vec4 - 1) * stride + kernel) * channels; }
    /// Floats of an input tile: the input rows under `rows` output rows, rounded up to a multiple of 4.
    __host__ __device__ int input_floats(int rows) const {
        return (((rows - 1) * stride + kernel) * input_pitch() + vec4 - 1) / vec4 * vec4;
    }
    /// Offset in an input tile of this element of the first position's patch.
    __device__ int patch_offset(int element) const {
        const int patch_row = kernel * channels;
        return element / patch_row * input_pitch() + element % patch_row;
    }
};

/// to [T, padded_channels] = w [K, T], zeros in the padding.
template <typename T> __device__ void load_weights(float* to, const T* w, const StemSizes& size) {
    const int pitch = size.padded_channels(), patch = size.patch();
    for (int i = static_cast<int>(threadIdx.x); i < patch * pitch; i += block_threads) {
        const int element = i / pitch, k = i % pitch;
        to[i] = k < size.out_channels ? to_float(w[k * patch + element]) : 0.0f;
    }
}

/// to = channels k to k + 3 of an output position, zeros beyond the last. `from` is aligned to 16 bytes where the
/// channels are a multiple of 4.
template <typename T> __device__ void load_channels(float (&to)[vec4], const T* from, int k, const StemSizes& size) {
    if (size.out_channels % vec4 == 0) return load(to, from + k);
#pragma unroll
    for (int v = 0; v < vec4; ++v) to[v] = k + v < size.out_channels ? to_float(from[k + v]) : 0.0f;
}

/// input [rows, input_pitch] = `rows` input rows, from the first under output row p on; zeros outside the input.
template <typename T>
__device__ void load_input_tile(float* input, const T* x, const StemSizes& size, int64_t clip, int p, int rows) {
    const int pitch = size.input_pitch(), first_value = -size.padding * size.channels;
    const int row_values = size.width * size.channels;
    for (int i = static_cast<int>(threadIdx.x); i < rows * pitch; i += block_threads) {
        const int h = p * size.stride - size.padding + i / pitch, value = first_value + i % pitch;
        const bool inside = h >= 0 && h < size.height && value >= 0 && value < row_values;
        input[i] = inside ? to_float(x[(clip * size.height + h) * row_values + value]) : 0.0f;
    }
}

/// How the threads of a block share the weight gradient's GEMM [K, positions] x [positions, patch], where `patch` is T
/// or T + 1. A register tile (four output channels, patch_tile elements) has `splits` threads, each of which takes
/// every `splits`-th position (split-K).
struct WgradTiling {
    int tiles, per_block, splits;

    __host__ __device__ WgradTiling(const StemSizes& size, int patch) {
        tiles = size.padded_channels() / vec4 * ((patch + patch_tile - 1) / patch_tile);
        per_block = tiles < block_threads ? tiles : block_threads;
        splits = block_threads / per_block;
    }
    /// A grid's extent in y.
    unsigned blocks() const { return static_cast<unsigned>(divide_up(tiles, per_block)); }
    /// Floats of shared memory in which the splits are added.
    int split_floats() const { return splits * patch_tile * vec4 * per_block; }
};

/// A thread's part of dw [K, patch] = the sum over positions of gradient[k]*patch[element]. If patch = T + 1, the extra
/// element is the constant 1, so its column is the sum of the gradient.
class WgradTile {
public:
    /// If patch = T + 1, the caller stores the 1 behind the input_floats(1) floats of the input tile.
    __device__ WgradTile(const StemSizes& size, int patch) : tiling_(size, patch), patch_(patch) {
        split_ = static_cast<int>(threadIdx.x) / tiling_.per_block;
        in_block_ = static_cast<int>(threadIdx.x) % tiling_.per_block;
        const int index = static_cast<int>(blockIdx.y) * tiling_.per_block + in_block_;
        const int k_tiles = size.padded_channels() / vec4;
        k_ = index % k_tiles * vec4;
        first_element_ = index / k_tiles * patch_tile;
        works_ = split_ < tiling_.splits && index < tiling_.tiles;
#pragma unroll
        for (int t = 0; t < patch_tile; ++t) {
            const int element = first_element_ + t < patch ? first_element_ + t : patch - 1;
            offset_[t] = element < size.patch() ? size.patch_offset(element) : size.input_floats(1);
            step_[t] = element < size.patch() ? size.stride * size.channels : 0;
        }
    }

    /// Adds one output row: gradient [Q, pitch] and its input tile.
    __device__ void add_row(const float* gradient, int pitch, const float* input, const StemSizes& size) {
        if (!works_) return;
        for (int q = split_; q < size.out_width; q += tiling_.splits) {
            float dz[vec4];
            load(dz, gradient + q * pitch + k_);
#pragma unroll
            for (int t = 0; t < patch_tile; ++t) {
                const float value = input[offset_[t] + q * step_[t]];
#pragma unroll
                for (int channel = 0; channel < vec4; ++channel)
                    sum_[t][channel] = fmaf(value, dz[channel], sum_[t][channel]);
            }
        }
    }

    /// to [K, patch] = the block's sums. The splits of a tile are added in order; `splits` is split_floats() of shared
    /// memory.
    __device__ void store(float* to, float* splits, const StemSizes& size) const {
        const int width = patch_tile * vec4 * tiling_.per_block;
        __syncthreads(); // `splits` may overlap what other threads still read
        if (split_ < tiling_.splits) {
            float* of_split = splits + split_ * width + in_block_;
#pragma unroll
            for (int t = 0; t < patch_tile; ++t) {
#pragma unroll
                for (int channel = 0; channel < vec4; ++channel)
                    of_split[(t * vec4 + channel) * tiling_.per_block] = sum_[t][channel];
            }
        }
        __syncthreads();
        if (split_ != 0 || !works_) return;
        for (int t = 0; t < patch_tile && first_element_ + t < patch_; ++t) {
            for (int channel = 0; channel < vec4 && k_ + channel < size.out_channels; ++channel) {
                float total = 0;
                for (int other = 0; other < tiling_.splits; ++other)
                    total += splits[other * width + (t * vec4 + channel) * tiling_.per_block + in_block_];
                to[(k_ + channel) * patch_ + first_element_ + t] = total;
            }
        }
    }

private:
    WgradTiling tiling_;
    int patch_, k_, first_element_, split_, in_block_;
    int offset_[patch_tile], step_[patch_tile]; ///< of each element in the input tile, and from position to position
    bool works_;
    float sum_[patch_tile][vec4] = {};
};

} // namespace scene::cuda
