#pragma once

// The data gradient of a small-channel (stem) convolution on tensor cores, as kernels/cuda/common/col2im.h describes
// it: a GEMM multiplies the 16-bit values of a tile of positions with the weights of each patch element, and col2im
// adds the products to the input rows under the tile.
//
// The weights are float. They are split into two 16-bit parts, high + low, after a scaling by a power of two that keeps
// the low part above the smallest 16-bit numbers, so that they lose next to nothing.
//
// Input column w of channel c belongs to phase (w + padding) % stride and to cell (w + padding) / stride. Element (r,
// s, c) of position q adds to the phase s % stride and the cell q + s / stride. So neighbours in a phase take the
// products of neighbouring positions, and no index has to be divided.

#include "kernels/cuda/common/col2im.h"
#include "kernels/cuda/common/patch_tile.h"

namespace scene::cuda {

/// Floats from one element's products to the next: lanes that store neighbouring elements reach different banks.
constexpr int product_pitch = tile_positions + 4;

/// Shared memory of a TensorCol2im, whose values have `depth` columns.
struct TensorCol2imLayout {
    int depth, pitch;      ///< rounded up to a multiple of 16; of the weights' rows
    int elements;          ///< T, rounded up to a multiple of 8
    int phases;            ///< for each channel `stride`
    int first_cell, cells; ///< of an input row

    __host__ __device__ TensorCol2imLayout(const StemSizes& size, int depth_of_values) {
        depth = whole_extents(depth_of_values);
        pitch = matrix_pitch(depth_of_values);
        elements = (size.patch() + matrix_columns - 1) / matrix_columns * matrix_columns;
        phases = size.stride * size.channels;
        first_cell = size.padding / size.stride;
        cells = (size.width - 1 + size.padding) / size.stride - first_cell + 1;
    }
    __host__ __device__ int ring_floats(const StemSizes& size) const { return size.kernel * phases * cells; }
    __host__ __device__ int tasks(const StemSizes& size) const { return size.kernel * phases; }
    /// Bytes, a multiple of 16: weights [2, elements, pitch] 16-bit, products [elements, product_pitch], ring [kernel,
    /// phases, cells], places of a row's values [width*channels], tasks.
    __host__ __device__ int bytes(const StemSizes& size) const {
        const int words = elements * product_pitch + ring_floats(size) + size.width * size.channels + tasks(size);
        return 2 * elements * pitch * 2 + (words + 3) / 4 * 4 * 4;
    }
};

/// The ring buffer and the calls are those of Col2im. The caller puts barriers between the calls.
template <typename T> class TensorCol2im {
public:
    __device__ TensorCol2im(char* shared, const StemSizes& size, int depth, const Chunk& chunk)
        : size_(size), layout_(size, depth), next_row_(chunk.first_in), end_row_(chunk.end_in) {
        high_ = reinterpret_cast<T*>(shared);
        low_ = high_ + layout_.elements * layout_.pitch;
        products_ = reinterpret_cast<float*>(low_ + layout_.elements * layout_.pitch);
        ring_ = products_ + layout_.elements * product_pitch;
        places_ = reinterpret_cast<int*>(ring_ + layout_.ring_floats(size));
        tasks_ = places_ + size.width * size.channels;
        next_slot_ = next_row_ % size.kernel;
        const int first_row = chunk.halo_first * size.stride - size.padding;
        slot_ = (first_row % size.kernel + size.kernel) % size.kernel;
        slot_step_ = size.stride % size.kernel;
        reach_ = tile_positions + (size.kernel - 1) / size.stride;
    }

    __device__ void begin() {
        const int threads = static_cast<int>(blockDim.x);
#pragma unroll 1
        for (int i = static_cast<int>(threadIdx.x); i < layout_.ring_floats(size_); i += threads) ring_[i] = 0;
#pragma unroll 1
        for (int i = static_cast<int>(threadIdx.x); i < size_.width * size_.channels; i += threads) {
            const int column = i / size_.channels + size_.padding, channel = i % size_.channels;
            places_[i] = (column % size_.stride * size_.channels + channel) * layout_.cells + column / size_.stride -
                         layout_.first_cell;
        }
#pragma unroll 1
        for (int i = static_cast<int>(threadIdx.x); i < layout_.tasks(size_); i += threads)
            tasks_[i] = i / layout_.phases << 8 | i % layout_.phases;
    }

    /// weight(element, k) of each element < T and k < depth_of_values becomes the weights. `shared` has a float for
    /// each warp. Ends with a barrier.
    template <typename Weight> __device__ void split_weights(int depth_of_values, float* shared, Weight&& weight) {
        const int lane = static_cast<int>(threadIdx.x) % warp_lanes, warp = static_cast<int>(threadIdx.x) / warp_lanes;
        const int warps = static_cast<int>(blockDim.x) / warp_lanes, patch = size_.patch();
        float largest = 0;
#pragma unroll 1
        for (int k = warp; k < depth_of_values; k += warps)
            for (int element = lane; element < patch; element += warp_lanes)
                largest = larger(largest, fabsf(weight(element, k)));
        largest = block_max(largest, shared);
        // A power of two that takes the largest weight to 2^13, or 1 if it is not finite.
        const int exponent = static_cast<int>(__float_as_uint(largest) >> 23);
        int of_factor = exponent == 255 ? 127 : 127 + 127 + 13 - exponent;
        if (of_factor > 253) of_factor = 253;
        const float factor = __uint_as_float(static_cast<unsigned>(of_factor) << 23);
        inverse_factor_ = __uint_as_float(static_cast<unsigned>(254 - of_factor) << 23);
#pragma unroll 1
        for (int k = warp; k < layout_.pitch; k += warps) {
            for (int element = lane; element < layout_.elements; element += warp_lanes) {
                const bool given = element < patch && k < depth_of_values;
                const float scaled = given ? factor * weight(element, k) : 0.0f;
                const T high = from_float<T>(scaled);
                high_[element * layout_.pitch + k] = high;
                low_[element * layout_.pitch + k] = from_float<T>(scaled - to_float(high));
            }
        }
        __syncthreads();
    }

    /// products [elements, tile_positions] = values [tile_positions, values_pitch] * weights. A warp has 8 elements of
    /// all positions.
    __device__ void multiply(const T* values, int values_pitch) {
        const int lane = static_cast<int>(threadIdx.x) % warp_lanes, warp = static_cast<int>(threadIdx.x) / warp_lanes;
        const int warps = static_cast<int>(blockDim.x) / warp_lanes;
        const FragmentLane at(lane);
        const T* of_lane = row_of_left_quarters(values, values_pitch, lane);
#pragma unroll 1
        for (int first = warp * matrix_columns; first < layout_.elements; first += warps * matrix_columns) {
            const T* weights = (lane < warp_lanes / 2 ? high_ : low_) + (first + lane % 8) * layout_.pitch +
                               lane / 8 % 2 * matrix_columns;
            float high[2][4] = {}, low[2][4] = {};
#pragma unroll 3
            for (int k = 0; k < layout_.depth; k += matrix_extent) {
                uint32_t weight[4], upper[4], lower[4];
                load_matrices(weight, weights + k);
                load_matrices(upper, of_lane + k);
                load_matrices(lower, of_lane + matrix_extent * values_pitch + k);
                mma_m16n8k16<T>(high[0], upper, weight[0], weight[1]);
                mma_m16n8k16<T>(high[1], lower, weight[0], weight[1]);
                mma_m16n8k16<T>(low[0], upper, weight[2], weight[3]);
                mma_m16n8k16<T>(low[1], lower, weight[2], weight[3]);
            }
            float* to = products_ + (first + 2 * at.in_group) * product_pitch + at.group;
#pragma unroll
            for (int half_tile = 0; half_tile < 2; ++half_tile) {
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    to[i % 2 * product_pitch + half_tile * matrix_extent + i / 2 * 8] =
                        (high[half_tile][i] + low[half_tile][i]) * inverse_factor_;
            }
        }
    }

    /// Adds the products to the `kernel` input rows under a tile, except retired ones.
    __device__ void gather(const TilePosition& tile) {
        const int lane = static_cast<int>(threadIdx.x) % warp_lanes, warp = static_cast<int>(threadIdx.x) / warp_lanes;
        const int warps = static_cast<int>(blockDim.x) / warp_lanes, first_row = tile.p * size_.stride - size_.padding;
        const int patch_row = size_.kernel * size_.channels;
        const int of_next = layout_.phases * product_pitch - 1; // from a product of a cell to the next one
        for (int task = warp; task < layout_.tasks(size_); task += warps) {
            const int r = tasks_[task] >> 8, phase = tasks_[task] & 0xFF, row = first_row + r;
            if (row < next_row_ || row >= size_.height) continue;
            int slot = slot_ + r;
            if (slot >= size_.kernel) slot -= size_.kernel;
            float* cells = ring_ + (slot * layout_.phases + phase) * layout_.cells - layout_.first_cell;
            const float* products = products_ + (r * size_.kernel * size_.channels + phase) * product_pitch;
            const int begin = tile.q > layout_.first_cell ? tile.q : layout_.first_cell;
            int end = layout_.first_cell + layout_.cells;
            if (end > tile.q + reach_) end = tile.q + reach_;
#pragma unroll 1
            for (int cell = begin + lane; cell < end; cell += warp_lanes) {
                int position = cell - tile.q;
                const float* product = products + position;
                float total = 0;
                for (int element = phase; element < patch_row; element += layout_.phases) {
                    if (position >= 0 && position < tile_positions) total += *product;
                    --position;
                    product += of_next;
                }
                cells[cell] += total;
            }
        }
    }

    /// To be called once before each output row but the first: `p` is the new one.
    __device__ void next_output_row() {
        slot_ += slot_step_;
        if (slot_ >= size_.kernel) slot_ -= size_.kernel;
    }
    template <typename Write> __device__ void retire_before(int p, Write&& write) {
        const int above = p * size_.stride - size_.padding;
        retire(above < end_row_ ? above : end_row_, write);
    }
    template <typename Write> __device__ void retire_rest(Write&& write) { retire(end_row_, write); }

private:
    template <typename Write> __device__ void retire(int end, Write&& write) {
        if (next_row_ >= end) return;
        const int row_values = size_.width * size_.channels, row_floats = layout_.phases * layout_.cells;
#pragma unroll 1
        for (int i = static_cast<int>(threadIdx.x); i < row_values; i += static_cast<int>(blockDim.x)) {
            float* of_value = ring_ + places_[i];
            int slot = next_slot_;
#pragma unroll 1
            for (int row = next_row_; row < end; ++row) {
                float& sum = of_value[slot * row_floats];
                write(row, i, sum);
                sum = 0;
                if (++slot == size_.kernel) slot = 0;
            }
        }
        next_slot_ += end - next_row_;
        while (next_slot_ >= size_.kernel) next_slot_ -= size_.kernel;
        next_row_ = end;
    }

    const StemSizes& size_;
    TensorCol2imLayout layout_;
    T *high_, *low_; ///< [elements, pitch], scaled
    float *products_, *ring_;
    int *places_, *tasks_; ///< of a row's values in its part of the ring; row << 8 | phase
    float inverse_factor_ = 1;
    int next_row_, end_row_, next_slot_; ///< the first row that is not retired, and its slot of the ring
    int slot_, slot_step_;               ///< of the first row under the output row
    int reach_;                          ///< cells that a tile adds to
};

} // namespace scene::cuda
