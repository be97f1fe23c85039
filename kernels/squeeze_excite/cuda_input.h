#pragma once

// Shared by the kernels of squeeze-excitation: the input, its pooling windows, and the assignment of rows to threads.

#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/common/divisor.h"
#include "kernels/cuda/common/operands.h"

namespace scene::cuda::squeeze_excite {

/// The operands of z = scale*x + shift and of relu(z*gate). In the grids (RowBlocks), groups are clips and rows are the
/// positions of a clip, or its 2x2 pooling windows with avg_pool.
template <typename T> struct Input {
    const T* x;
    const float *scale, *shift, *gate;
    int height, width, channels;
    bool avg_pool;

    /// Element index of a clip, channel 0.
    __device__ int64_t clip_start(int clip) const { return static_cast<int64_t>(clip) * height * width * channels; }
    /// Element index of a clip of the output, channel 0.
    __device__ int64_t out_start(int clip) const {
        if (!avg_pool) return clip_start(clip);
        return static_cast<int64_t>(clip) * (height / 2) * (width / 2) * channels;
    }
    /// Element index, inside the clip, of position i = 0 .. 3 of the window (p, q), channel 0.
    __device__ int64_t in_window(int p, int q, int i) const {
        return (static_cast<int64_t>(2 * p) * width + 2 * q) * channels + (i / 2 * width + i % 2) * channels;
    }
};

/// The operands of a thread's V channels.
template <int V> struct Channels {
    float scale[V], shift[V], gate[V];

    template <typename T> __device__ void load_norm(const Input<T>& in, int channel) {
        load(scale, in.scale + channel);
        load(shift, in.shift + channel);
    }
    template <typename T> __device__ void load_all(const Input<T>& in, int clip, int channel) {
        load_norm(in, channel);
        load(gate, in.gate + static_cast<int64_t>(clip) * in.channels + channel);
    }
};

/// The clip, first channel and rows of a thread in an elementwise pass.
struct ThreadRows {
    int clip, channel;
    int64_t first, end;
    int step;

    __device__ ThreadRows(int64_t rows, int64_t rows_per_block, int width)
        : clip(static_cast<int>(blockIdx.z)), channel(static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * width),
          first(blockIdx.x * rows_per_block), end(first + rows_per_block < rows ? first + rows_per_block : rows),
          step(static_cast<int>(blockDim.y)) {
        first += threadIdx.y;
    }
};

/// Writes factor*sum to out [N, C].
struct FinishSums {
    float* out;
    int channels;
    double factor;

    __device__ void operator()(int clip, int c, const double (&sum)[1]) const {
        out[static_cast<int64_t>(clip) * channels + c] = static_cast<float>(sum[0] * factor);
    }
};

inline Shape output_shape(const Shape& x, bool avg_pool) { return avg_pool ? pooled_shape(x) : x; }

/// Positions of one clip of the output.
inline int64_t output_rows(const Shape& x, bool avg_pool) {
    const Shape out = output_shape(x, avg_pool);
    return out[1] * out[2];
}

/// Bytes of the partial sums over `rows` rows of each clip.
inline size_t sum_bytes(const Shape& x, int64_t rows) { return column_sum_bytes(x[0], rows, x[3], 1); }

/// The shape [N, C].
inline Shape per_clip(const Tensor& x) {
    check_rank(x, 4, "x");
    return {x.shape[0], channels_of(x, "x")};
}

template <typename T, class Op> Input<T> input_of(const Op& op, const float* gate, bool avg_pool) {
    const int64_t channels = channels_of(op.x, "x");
    return {.x = static_cast<const T*>(op.x.data),
            .scale = floats(op.scale, {channels}, "scale"),
            .shift = floats(op.shift, {channels}, "shift"),
            .gate = gate,
            .height = static_cast<int>(op.x.shape[1]),
            .width = static_cast<int>(op.x.shape[2]),
            .channels = static_cast<int>(channels),
            .avg_pool = avg_pool};
}

} // namespace scene::cuda::squeeze_excite
