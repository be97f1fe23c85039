#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/kernels.h"

namespace scene::cuda {
namespace {

/// z = scale*x + shift, and the unpooled output is relu(z*gate). Groups of blocks are clips; rows are positions, or
/// 2x2 windows where the output was averaged over them.
template <typename T> struct Operands {
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
    /// Element index inside the clip of position i of the window at (p, q).
    __device__ int64_t in_window(int p, int q, int i) const {
        return (static_cast<int64_t>(2 * p + i / 2) * width + 2 * q + i % 2) * channels;
    }
};

template <int V> struct Channels {
    float scale[V], shift[V], gate[V];

    template <typename T> __device__ void load_norm(const Operands<T>& op, int channel) {
        load(scale, op.scale + channel);
        load(shift, op.shift + channel);
    }
    template <typename T> __device__ void load_from(const Operands<T>& op, int clip, int channel) {
        load_norm(op, channel);
        load(gate, op.gate + static_cast<int64_t>(clip) * op.channels + channel);
    }
};

template <typename T, int V> struct SqueezeTerms {
    Operands<T> op;
    Channels<V> of;
    const T* x;

    __device__ void start(int clip, int channel) {
        of.load_norm(op, channel);
        x = op.x + op.clip_start(clip) + channel;
    }
    __device__ void add(float (&sum)[1][V], int64_t row) {
        float value[V];
        load(value, x + row * op.channels);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[0][v] += fmaf(of.scale[v], value[v], of.shift[v]);
    }
};

template <typename T, int V> struct GateTerms {
    Operands<T> op;
    const T* dy;
    Channels<V> of;
    int64_t x_start, dy_start;

    __device__ void start(int clip, int channel) {
        of.load_from(op, clip, channel);
        x_start = op.clip_start(clip) + channel;
        dy_start = op.out_start(clip) + channel;
    }
    __device__ void add(float (&sum)[1][V], int64_t row) {
        float gradient[V];
        load(gradient, dy + dy_start + row * op.channels);
        if (!op.avg_pool) {
            add_position(sum, x_start + row * op.channels, gradient, 1.0f);
            return;
        }
        const int p = static_cast<int>(row / (op.width / 2)), q = static_cast<int>(row % (op.width / 2));
        for (int i = 0; i < 4; ++i) add_position(sum, x_start + op.in_window(p, q, i), gradient, 0.25f);
    }
    __device__ void add_position(float (&sum)[1][V], int64_t at, const float (&gradient)[V], float share) {
        float x[V];
        load(x, op.x + at);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float z = fmaf(of.scale[v], x[v], of.shift[v]);
            if (z * of.gate[v] > 0) sum[0][v] += gradient[v] * share * z;
        }
    }
};

struct FinishTotals {
    float* out; ///< [N, C]
    int channels;
    double factor;

    __device__ void operator()(int clip, int c, const double (&sum)[1]) const {
        out[static_cast<int64_t>(clip) * channels + c] = static_cast<float>(sum[0] * factor);
    }
};

/// A thread's part of a piece of the rows of its clip.
struct Piece {
    int clip, channel;
    int64_t first, end, step;

    __device__ Piece(int64_t rows, int64_t rows_per_piece, int width)
        : clip(static_cast<int>(blockIdx.z)), channel(static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * width),
          first(blockIdx.x * rows_per_piece), end(first + rows_per_piece < rows ? first + rows_per_piece : rows),
          step(blockDim.y) {
        first += threadIdx.y;
    }
};

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    excite(T* y, Operands<T> op, int64_t rows, int64_t rows_per_piece) {
    const Piece piece(rows, rows_per_piece, V);
    if (piece.channel >= op.channels) return;
    Channels<V> of;
    of.load_from(op, piece.clip, piece.channel);
    const int64_t start = op.clip_start(piece.clip) + piece.channel;
    for (int64_t row = piece.first; row < piece.end; row += piece.step) {
        const int64_t at = start + row * op.channels;
        float x[V];
        load(x, op.x + at);
#pragma unroll
        for (int v = 0; v < V; ++v) x[v] = rectified(fmaf(of.scale[v], x[v], of.shift[v]) * of.gate[v]);
        store(y + at, x);
    }
}

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    excite_and_average(T* y, Operands<T> op, int64_t rows, int64_t rows_per_piece) {
    const Piece piece(rows, rows_per_piece, V);
    if (piece.channel >= op.channels) return;
    Channels<V> of;
    of.load_from(op, piece.clip, piece.channel);
    const T* from = op.x + op.clip_start(piece.clip) + piece.channel;
    T* to = y + op.out_start(piece.clip) + piece.channel;
    const int columns = op.width / 2;
    for (int64_t row = piece.first; row < piece.end; row += piece.step) {
        const int p = static_cast<int>(row / columns), q = static_cast<int>(row % columns);
        float sum[V] = {};
#pragma unroll
        for (int line = 0; line < 2; ++line) {
            float left[V], right[V];
            load(left, from + op.in_window(p, q, 2 * line));
            load(right, from + op.in_window(p, q, 2 * line + 1));
#pragma unroll
            for (int v = 0; v < V; ++v) {
                sum[v] += rectified(fmaf(of.scale[v], left[v], of.shift[v]) * of.gate[v]) +
                          rectified(fmaf(of.scale[v], right[v], of.shift[v]) * of.gate[v]);
            }
        }
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] *= 0.25f;
        store(to + row * op.channels, sum);
    }
}

/// What backward adds to the gradient through the gate: dpooled/(H*W).
template <int V> struct MeanShare {
    float value[V];

    template <typename T> __device__ MeanShare(const Operands<T>& op, const float* dpooled, int clip, int channel) {
        load(value, dpooled + static_cast<int64_t>(clip) * op.channels + channel);
        const float share = 1.0f / (static_cast<float>(op.height) * static_cast<float>(op.width));
#pragma unroll
        for (int v = 0; v < V; ++v) value[v] *= share;
    }
};

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    excite_backward(T* dz, Operands<T> op, const T* dy, const float* dpooled, int64_t rows, int64_t rows_per_piece) {
    const Piece piece(rows, rows_per_piece, V);
    if (piece.channel >= op.channels) return;
    Channels<V> of;
    of.load_from(op, piece.clip, piece.channel);
    const MeanShare<V> mean(op, dpooled, piece.clip, piece.channel);
    const int64_t start = op.clip_start(piece.clip) + piece.channel;
    for (int64_t row = piece.first; row < piece.end; row += piece.step) {
        const int64_t at = start + row * op.channels;
        float x[V], gradient[V];
        load(x, op.x + at);
        load(gradient, dy + at);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const bool passes = fmaf(of.scale[v], x[v], of.shift[v]) * of.gate[v] > 0;
            x[v] = (passes ? gradient[v] * of.gate[v] : 0.0f) + mean.value[v];
        }
        store(dz + at, x);
    }
}

/// Rows are windows, the incomplete ones at the edges included: no gradient arrives there.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    average_backward(T* dz, Operands<T> op, const T* dy, const float* dpooled, int64_t rows, int64_t rows_per_piece) {
    const Piece piece(rows, rows_per_piece, V);
    if (piece.channel >= op.channels) return;
    Channels<V> of;
    of.load_from(op, piece.clip, piece.channel);
    const MeanShare<V> mean(op, dpooled, piece.clip, piece.channel);
    const int64_t start = op.clip_start(piece.clip) + piece.channel;
    const int columns = (op.width + 1) / 2;
    for (int64_t row = piece.first; row < piece.end; row += piece.step) {
        const int p = static_cast<int>(row / columns), q = static_cast<int>(row % columns);
        float gradient[V] = {};
        if (p < op.height / 2 && q < op.width / 2)
            load(gradient, dy + op.out_start(piece.clip) + piece.channel +
                               (static_cast<int64_t>(p) * (op.width / 2) + q) * op.channels);
        for (int i = 0; i < 4; ++i) {
            if (2 * p + i / 2 >= op.height || 2 * q + i % 2 >= op.width) continue;
            const int64_t at = start + op.in_window(p, q, i);
            float x[V];
            load(x, op.x + at);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const bool passes = fmaf(of.scale[v], x[v], of.shift[v]) * of.gate[v] > 0;
                x[v] = (passes ? gradient[v] * 0.25f * of.gate[v] : 0.0f) + mean.value[v];
            }
            store(dz + at, x);
        }
    }
}

template <typename T>
Operands<T> operands(const Tensor& x, const Tensor& scale, const Tensor& shift, const Tensor& gate, bool avg_pool) {
    check_rank(x, 4, "x");
    const int64_t channels = channels_of(x, "x");
    return {.x = static_cast<const T*>(x.data),
            .scale = floats(scale, {channels}, "scale"),
            .shift = floats(shift, {channels}, "shift"),
            .gate = optional_floats(gate, {x.shape[0], channels}, "gate"),
            .height = static_cast<int>(x.shape[1]),
            .width = static_cast<int>(x.shape[2]),
            .channels = static_cast<int>(channels),
            .avg_pool = avg_pool};
}

Shape output_shape(const Tensor& x, bool avg_pool) { return avg_pool ? pooled_shape(x.shape) : x.shape; }

/// Positions of the output in one clip.
int64_t output_rows(const Tensor& x, bool avg_pool) {
    const Shape out = output_shape(x, avg_pool);
    return out[1] * out[2];
}

} // namespace

size_t se_scratch_bytes(const Shape& x) {
    size_t bytes = column_sum_bytes(x[0], x[1] * x[2], x[3], 1);
    if (x[1] >= 2 && x[2] >= 2) bytes = std::max(bytes, column_sum_bytes(x[0], (x[1] / 2) * (x[2] / 2), x[3], 1));
    return bytes;
}

void se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift, Tensor scratch, cudaStream_t stream) {
    check_rank(x, 4, "x");
    const int64_t clips = x.shape[0], positions = x.shape[1] * x.shape[2], channels = x.shape[3];
    const FinishTotals finish{.out = floats(pooled, {clips, channels}, "pooled"),
                              .channels = static_cast<int>(channels),
                              .factor = 1.0 / static_cast<double>(positions)};
    auto* partial = scratch_of<float>(scratch, se_scratch_bytes(x.shape));
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        const Operands<T> op = operands<T>(x, scale, shift, {}, false);
        with_pack_width<T>(channels, {op.x, op.scale, op.shift}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch_column_sums<V, 1>(finish, SqueezeTerms<T, V>{op, {}, nullptr}, partial, clips, positions, channels,
                                     stream);
        });
    });
}

void se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool,
                       cudaStream_t stream) {
    check_rank(x, 4, "x");
    check_tensor(gate, DType::F32, {x.shape[0], x.shape[3]}, "gate");
    check_tensor(y, x.dtype, output_shape(x, avg_pool), "y");
    const int64_t rows = output_rows(x, avg_pool), channels = x.shape[3];
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        const Operands<T> op = operands<T>(x, scale, shift, gate, avg_pool);
        with_pack_width<T>(channels, {y.data, op.x, op.scale, op.shift, op.gate}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const RowBlocks blocks = elementwise_blocks(rows, channels, V, x.shape[0]);
            launch(avg_pool ? excite_and_average<T, V> : excite<T, V>, blocks.grid, blocks.block, 0, stream,
                   static_cast<T*>(y.data), op, rows, blocks.rows_per_piece);
        });
    });
}

void se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool,
                             Tensor scratch, cudaStream_t stream) {
    check_rank(x, 4, "x");
    const int64_t clips = x.shape[0], channels = x.shape[3];
    check_tensor(gate, DType::F32, {clips, channels}, "gate");
    check_tensor(dy, x.dtype, output_shape(x, avg_pool), "dy");
    const FinishTotals finish{
        .out = floats(dgate, {clips, channels}, "dgate"), .channels = static_cast<int>(channels), .factor = 1.0};
    auto* partial = scratch_of<float>(scratch, se_scratch_bytes(x.shape));
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        const Operands<T> op = operands<T>(x, scale, shift, gate, avg_pool);
        with_pack_width<T>(channels, {dy.data, op.x, op.scale, op.shift, op.gate}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch_column_sums<V, 1>(finish, GateTerms<T, V>{op, static_cast<const T*>(dy.data), {}, 0, 0}, partial,
                                     clips, output_rows(x, avg_pool), channels, stream);
        });
    });
}

void se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate, Tensor dpooled,
                        bool avg_pool, cudaStream_t stream) {
    check_rank(x, 4, "x");
    const int64_t clips = x.shape[0], channels = x.shape[3];
    check_tensor(gate, DType::F32, {clips, channels}, "gate");
    check_tensor(dz, x.dtype, x.shape, "dz");
    check_tensor(dy, x.dtype, output_shape(x, avg_pool), "dy");
    const float* squeezed = floats(dpooled, {clips, channels}, "dpooled");
    const int64_t windows = ((x.shape[1] + 1) / 2) * ((x.shape[2] + 1) / 2);
    const int64_t rows = avg_pool ? windows : x.shape[1] * x.shape[2];
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        const Operands<T> op = operands<T>(x, scale, shift, gate, avg_pool);
        with_pack_width<T>(channels, {dz.data, dy.data, op.x, op.scale, op.shift, op.gate, squeezed}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const RowBlocks blocks = elementwise_blocks(rows, channels, V, clips);
            launch(avg_pool ? average_backward<T, V> : excite_backward<T, V>, blocks.grid, blocks.block, 0, stream,
                   static_cast<T*>(dz.data), op, static_cast<const T*>(dy.data), squeezed, rows, blocks.rows_per_piece);
        });
    });
}

} // namespace scene::cuda
