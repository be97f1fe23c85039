#pragma once

// The im2col patches of a part of an output row, 16-bit in shared memory, as operands of tensor cores: of small-channel
// (stem) convolutions. An input tile holds what the patches are gathered from.

#include "kernels/cuda/common/im2col.h"
#include "kernels/cuda/common/tensor_core.h"

namespace scene::cuda {

constexpr int tile_positions = 32;  ///< positions of a tile: neighbours in an output row
constexpr int matrix_extent = 16;   ///< of mma.m16n8k16: rows and depth
constexpr int matrix_columns = 8;   ///< of mma.m16n8k16, and the rows and columns of a matrix of ldmatrix
constexpr int element_vector = 8;   ///< 16-bit elements of 16 bytes
constexpr int input_tile_extra = 8; ///< behind an input tile: a 1 and zeros

__host__ __device__ constexpr int whole_extents(int count) {
    return (count + matrix_extent - 1) / matrix_extent * matrix_extent;
}

/// The pitch of rows in shared memory: an odd number of 16 bytes, so that the rows of a matrix lie in different banks.
__host__ __device__ constexpr int matrix_pitch(int columns) { return whole_extents(columns) + element_vector; }

/// An output row's part, the next ones, and where a walk ends.
struct TilePosition {
    int64_t clip;
    int p, q;

    __device__ void advance(const StemSizes& size) {
        q += tile_positions;
        if (q < size.out_width) return;
        q = 0;
        ++p;
    }
};

/// The address that this lane gives to ldmatrix for a 16 x 16 matrix at `corner`, whose quarters are the four matrices:
/// first both left ones.
template <typename T> __device__ inline const T* row_of_left_quarters(const T* corner, int pitch, int lane) {
    return corner + lane % 16 * pitch + lane / 16 * matrix_columns;
}

/// The same with both upper quarters first.
template <typename T> __device__ inline const T* row_of_upper_quarters(const T* corner, int pitch, int lane) {
    return corner + (lane / 16 * matrix_columns + lane % 8) * pitch + lane / 8 % 2 * matrix_columns;
}

/// Shared memory of a PatchTile with `count` elements of each patch.
struct PatchLayout {
    int elements, pitch;    ///< `count` rounded up to a multiple of 16; from one position to the next
    int lead;               ///< values before the first patch in a row of the input tile, so that rows begin aligned
    int vectors, row_pitch; ///< of 16 bytes in a row of the input tile; values of it
    int input;              ///< values of the input tile

    __host__ __device__ PatchLayout(const StemSizes& size, int count) {
        elements = whole_extents(count);
        pitch = matrix_pitch(count);
        lead = (element_vector - size.padding * size.channels % element_vector) % element_vector;
        const int values = ((tile_positions - 1) * size.stride + size.kernel) * size.channels;
        vectors = (lead + values + element_vector - 1) / element_vector;
        row_pitch = vectors * element_vector;
        input = size.kernel * row_pitch + input_tile_extra;
    }
    /// 16-bit values of one buffer: patches [tile_positions, pitch], input tile.
    __host__ __device__ int buffer() const { return tile_positions * pitch + input; }
    /// Bytes, a multiple of 16: offsets [elements] int, buffers.
    __host__ __device__ int bytes(int buffers) const { return elements * 4 + buffers * buffer() * 2; }
};

/// The patches of tiles, elements `first` on: element T is 1, later ones and positions behind the row are 0. There are
/// one or two buffers. The caller puts barriers between `begin`, `put`, `build` and the readers of a buffer's patches.
template <typename T> class PatchTile {
public:
    __device__ PatchTile(char* shared, const T* x, const StemSizes& size, int count)
        : x_(x), size_(size), layout_(size, count), offsets_(reinterpret_cast<int*>(shared)),
          buffers_(reinterpret_cast<T*>(offsets_ + layout_.elements)) {
        const int thread = static_cast<int>(threadIdx.x);
        row_ = thread / layout_.vectors;
        vector_ = thread % layout_.vectors;
        whole_vectors_ = size.width * size.channels % element_vector == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
    }
    __device__ void begin(int first, int buffers) {
        const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
        const int patch_row = size_.kernel * size_.channels, one = size_.kernel * layout_.row_pitch;
#pragma unroll 1
        for (int i = thread; i < layout_.elements; i += threads) {
            const int element = first + i;
            offsets_[i] = element < size_.patch()
                              ? element / patch_row * layout_.row_pitch + layout_.lead + element % patch_row
                              : one + (element == size_.patch() ? 0 : 1);
        }
        for (int buffer = 0; buffer < buffers; ++buffer) {
            for (int i = thread; i < input_tile_extra; i += threads)
                input(buffer)[one + i] = from_float<T>(i == 0 ? 1.0f : 0.0f);
        }
    }
    __device__ int pitch() const { return layout_.pitch; }
    /// [tile_positions, pitch]
    __device__ T* patches(int buffer = 0) const { return buffers_ + buffer * layout_.buffer(); }

    /// Starts to read the input under a tile: the first vector of each thread.
    __device__ void fetch(const TilePosition& tile) {
        if (row_ < size_.kernel) fetched_ = input_vector(tile, row_, vector_);
    }
    /// The input tile = what was fetched of this tile, and the rest.
    __device__ void put(const TilePosition& tile, int buffer = 0) {
        if (row_ >= size_.kernel) return;
        put_vector(input(buffer), row_, vector_, fetched_);
#pragma unroll 1
        for (int i = static_cast<int>(threadIdx.x + blockDim.x); i < size_.kernel * layout_.vectors;
             i += static_cast<int>(blockDim.x)) {
            const int row = i / layout_.vectors, vector = i % layout_.vectors;
            put_vector(input(buffer), row, vector, input_vector(tile, row, vector));
        }
    }
    /// The patches from the input tile. `q` is the first position's.
    __device__ void build(int q, int buffer = 0) {
        const int lane = static_cast<int>(threadIdx.x) % warp_lanes, warp = static_cast<int>(threadIdx.x) / warp_lanes;
        const int warps = static_cast<int>(blockDim.x) / warp_lanes, step = size_.stride * size_.channels;
        const int one = size_.kernel * layout_.row_pitch, inside = size_.out_width - q, count = tile_positions;
        const int end = inside < count ? inside : count;
#pragma unroll 1
        for (int element = lane; element < layout_.elements; element += warp_lanes) {
            const int offset = offsets_[element], of_position = offset < one ? step : 0;
            T* to = patches(buffer) + warp * layout_.pitch + element;
            const T* from = input(buffer) + offset + warp * of_position;
            int i = warp;
            for (; i < end; i += warps, to += warps * layout_.pitch, from += warps * of_position) *to = *from;
            for (; i < count; i += warps, to += warps * layout_.pitch) *to = from_float<T>(0.0f);
        }
    }

private:
    using Vector = AlignedVector<T, element_vector>;

    /// [kernel, row_pitch], then a 1 and zeros.
    __device__ T* input(int buffer) const { return patches(buffer) + tile_positions * layout_.pitch; }
    __device__ Vector input_vector(const TilePosition& tile, int row, int vector) const {
        const int row_values = size_.width * size_.channels, h = tile.p * size_.stride - size_.padding + row;
        const int first =
            (tile.q * size_.stride - size_.padding) * size_.channels - layout_.lead + vector * element_vector;
        const bool inside = h >= 0 && h < size_.height;
        const T* from = x_ + (tile.clip * size_.height + h) * row_values + first;
        if (whole_vectors_ && inside && first >= 0 && first < row_values)
            return *vector_at<element_vector>(const_cast<T*>(from));
        Vector values;
#pragma unroll
        for (int i = 0; i < element_vector; ++i) {
            const bool given = !whole_vectors_ && inside && first + i >= 0 && first + i < row_values;
            values.element[i] = given ? from[i] : from_float<T>(0.0f);
        }
        return values;
    }
    __device__ void put_vector(T* to, int row, int vector, const Vector& values) {
        *vector_at<element_vector>(to + row * layout_.row_pitch + vector * element_vector) = values;
    }

    const T* x_;
    const StemSizes& size_;
    PatchLayout layout_;
    int* offsets_;
    T* buffers_;
    Vector fetched_;
    int row_, vector_; ///< of the vector that this thread fetches
    bool whole_vectors_;
};

} // namespace scene::cuda
