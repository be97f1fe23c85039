#include "kernels/batch_norm/batch_norm.h"

#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/context.h"

namespace scene::cuda {
namespace {

/// Operands of both passes. Pass 1 sums dz and dz*(x - mean) for each channel; pass 2 writes
/// dx = scale*(dz - mean_dz - (x - mean)*slope), with slope = inv_std*mean(dz*xhat). z = scale*x + shift.
template <typename T> struct Operands {
    const T *dy, *x;
    const float *mean, *scale, *shift;
    int channels;
    bool relu;
    int height, width; ///< of x, if the output is pooled

    /// Whether the relu lets a gradient through.
    __device__ bool passes(float z) const { return !relu || z > 0; }
};

/// A thread's channels of the per-channel operands.
template <int V> struct Channels {
    float mean[V], scale[V], shift[V];

    template <typename T> __device__ void load_from(const Operands<T>& op, int channel) {
        load(mean, op.mean + channel);
        load(scale, op.scale + channel);
        load(shift, op.shift + channel);
    }
};

/// The 2x2 pooling window number `row`, of rows_of_windows x columns_of_windows per clip. Pass 2 rounds these counts up
/// and so includes the incomplete windows at the right and lower edge.
struct Window {
    int64_t first; ///< element index of its upper left position, channel 0
    int64_t out;   ///< element index of the pooled output, channel 0; meaningless if the window is incomplete
    int h, w;

    __device__ Window(int64_t row, int rows_of_windows, int columns_of_windows, int height, int width, int channels) {
        const int64_t clip = row / (static_cast<int64_t>(rows_of_windows) * columns_of_windows);
        const int p = static_cast<int>(row / columns_of_windows % rows_of_windows);
        const int q = static_cast<int>(row % columns_of_windows);
        h = 2 * p, w = 2 * q;
        first = ((clip * height + h) * width + w) * channels;
        out = ((clip * (height / 2) + p) * (width / 2) + q) * channels;
    }
};

// ---- pass 1 -------------------------------------------------------------------------------------------------------

template <typename T, int V> struct RowTerms {
    Operands<T> op;
    DropoutMask mask;
    Channels<V> per_channel;
    int channel;

    __device__ void start(int, int first_channel) {
        channel = first_channel;
        per_channel.load_from(op, channel);
        mask.read_control();
    }
    __device__ void add(float (&sum)[2][V], int64_t row) {
        const int64_t at = row * op.channels + channel;
        float x[V], dy[V], factor[V];
        load(x, op.x + at);
        load(dy, op.dy + at);
        mask.factors(factor, at);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float z = fmaf(per_channel.scale[v], x[v], per_channel.shift[v]);
            const float dz = op.passes(z) ? dy[v] * factor[v] : 0.0f;
            sum[0][v] += dz;
            sum[1][v] += dz * (x[v] - per_channel.mean[v]);
        }
    }
};

template <typename T, int V> struct PooledTerms {
    Operands<T> op;
    Channels<V> per_channel;
    int channel;

    __device__ void start(int, int first_channel) {
        channel = first_channel;
        per_channel.load_from(op, channel);
    }
    __device__ void add(float (&sum)[2][V], int64_t row) {
        const Window window(row, op.height / 2, op.width / 2, op.height, op.width, op.channels);
        const int64_t line = static_cast<int64_t>(op.width) * op.channels;
        float at[V], largest[V], x[V], dy[V];
        load(at, op.x + window.first + channel);
#pragma unroll
        for (int v = 0; v < V; ++v) largest[v] = fmaf(per_channel.scale[v], at[v], per_channel.shift[v]);
#pragma unroll
        for (int other = 1; other < 4; ++other) {
            load(x, op.x + window.first + other / 2 * line + other % 2 * op.channels + channel);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float z = fmaf(per_channel.scale[v], x[v], per_channel.shift[v]);
                if (z > largest[v]) largest[v] = z, at[v] = x[v];
            }
        }
        load(dy, op.dy + window.out + channel);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float dz = op.passes(largest[v]) ? dy[v] : 0.0f;
            sum[0][v] += dz;
            sum[1][v] += dz * (at[v] - per_channel.mean[v]);
        }
    }
};

struct FinishSums {
    float *dgamma, *dbeta, *mean_dz, *slope;
    const float* inv_std;
    double rows;

    __device__ void operator()(int, int c, const double (&sum)[2]) const {
        const double inverse = static_cast<double>(inv_std[c]), dz_xhat = sum[1] * inverse;
        dbeta[c] = static_cast<float>(sum[0]);
        dgamma[c] = static_cast<float>(dz_xhat);
        mean_dz[c] = static_cast<float>(sum[0] / rows);
        slope[c] = static_cast<float>(dz_xhat / rows * inverse);
    }
};

// ---- pass 2 -------------------------------------------------------------------------------------------------------

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    write_rows(T* dx, Operands<T> op, const float* mean_dz, const float* slope, int64_t rows, int64_t rows_per_chunk,
               DropoutMask mask) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= op.channels) return;
    mask.read_control();
    Channels<V> per_channel;
    per_channel.load_from(op, channel);
    float dz_mean[V], dz_slope[V];
    load(dz_mean, mean_dz + channel);
    load(dz_slope, slope + channel);
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    for (int64_t row = first + threadIdx.y; row < end; row += blockDim.y) {
        const int64_t at = row * op.channels + channel;
        float x[V], dy[V], factor[V];
        load(x, op.x + at);
        load(dy, op.dy + at);
        mask.factors(factor, at);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float z = fmaf(per_channel.scale[v], x[v], per_channel.shift[v]);
            const float dz = op.passes(z) ? dy[v] * factor[v] : 0.0f;
            x[v] = per_channel.scale[v] * (dz - dz_mean[v] - (x[v] - per_channel.mean[v]) * dz_slope[v]);
        }
        store(dx + at, x);
    }
}

/// Pass 2 with pooling. Each row is a window, the incomplete ones at the edges included: there dz = 0.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    write_windows(T* dx, Operands<T> op, const float* mean_dz, const float* slope, int64_t rows,
                  int64_t rows_per_chunk) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= op.channels) return;
    Channels<V> per_channel;
    per_channel.load_from(op, channel);
    float dz_mean[V], dz_slope[V];
    load(dz_mean, mean_dz + channel);
    load(dz_slope, slope + channel);
    const int64_t line = static_cast<int64_t>(op.width) * op.channels;
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    for (int64_t row = first + threadIdx.y; row < end; row += blockDim.y) {
        const Window window(row, (op.height + 1) / 2, (op.width + 1) / 2, op.height, op.width, op.channels);
        const bool has_right = window.w + 1 < op.width, has_lower = window.h + 1 < op.height;
        float x[4][V], dy[V] = {};
        int winner[V]; // the position in the window that dy goes to; -1: none
#pragma unroll
        for (int v = 0; v < V; ++v) winner[v] = -1;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if ((i % 2 == 1 && !has_right) || (i / 2 == 1 && !has_lower)) continue;
            load(x[i], op.x + window.first + i / 2 * line + i % 2 * op.channels + channel);
        }
        if (has_right && has_lower) {
            load(dy, op.dy + window.out + channel);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                float largest = fmaf(per_channel.scale[v], x[0][v], per_channel.shift[v]);
                winner[v] = 0;
#pragma unroll
                for (int i = 1; i < 4; ++i) {
                    const float z = fmaf(per_channel.scale[v], x[i][v], per_channel.shift[v]);
                    if (z > largest) largest = z, winner[v] = i;
                }
                if (!op.passes(largest)) winner[v] = -1;
            }
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if ((i % 2 == 1 && !has_right) || (i / 2 == 1 && !has_lower)) continue;
            float out[V];
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float dz = winner[v] == i ? dy[v] : 0.0f;
                out[v] = per_channel.scale[v] * (dz - dz_mean[v] - (x[i][v] - per_channel.mean[v]) * dz_slope[v]);
            }
            store(dx + window.first + i / 2 * line + i % 2 * op.channels + channel, out);
        }
    }
}

template <typename T, int V> void launch_backward(T* dx, const FinishSums& finish, const Operands<T>& op,
                                                  float* partial, const Shape& shape, bool max_pool,
                                                  const DropoutMask& mask, const Context& cuda) {
    const int64_t channels = op.channels, rows = shape.elements() / channels;
    if (max_pool) {
        const int64_t pooled_rows = shape[0] * (shape[1] / 2) * (shape[2] / 2);
        launch_column_sums<V, 2>(finish, PooledTerms<T, V>{op, {}, 0}, partial, 1, pooled_rows, channels, cuda.stream);
        if (!dx) return;
        const int64_t windows = shape[0] * ((shape[1] + 1) / 2) * ((shape[2] + 1) / 2);
        const RowBlocks blocks = elementwise_blocks(cuda.limits, windows, channels, V);
        launch(write_windows<T, V>, blocks.grid, blocks.block, 0, cuda.stream, dx, op, finish.mean_dz, finish.slope,
               windows, blocks.rows_per_chunk);
    } else {
        launch_column_sums<V, 2>(finish, RowTerms<T, V>{op, mask, {}, 0}, partial, 1, rows, channels, cuda.stream);
        if (!dx) return;
        const RowBlocks blocks = elementwise_blocks(cuda.limits, rows, channels, V);
        launch(write_rows<T, V>, blocks.grid, blocks.block, 0, cuda.stream, dx, op, finish.mean_dz, finish.slope, rows,
               blocks.rows_per_chunk, mask);
    }
}

/// The partial sums of pass 1, then mean_dz and slope.
struct ScratchLayout {
    size_t partial_bytes, channel_bytes; ///< each a multiple of tensor_alignment

    ScratchLayout(const Shape& x, bool max_pool) : partial_bytes(0), channel_bytes(0) {
        const int64_t channels = x[x.rank() - 1];
        const int64_t rows = max_pool ? x[0] * (x[1] / 2) * (x[2] / 2) : x.elements() / channels;
        partial_bytes = aligned_bytes(column_sum_bytes(1, rows, channels, 2));
        channel_bytes = aligned_bytes(static_cast<size_t>(channels) * sizeof(float));
    }
    size_t bytes() const { return partial_bytes + 2 * channel_bytes; }
};

} // namespace

size_t scratch_bytes(const BatchNormBackward<TensorSpec>& op, const Planning&) {
    return ScratchLayout(op.x.shape, op.epilogue.max_pool).bytes();
}

void run(const BatchNormBackward<Tensor>& op, Context& cuda) {
    const Shape& shape = op.x.shape;
    const int64_t channels = channels_of(op.x, "x");
    const Shape per_channel{channels};
    const bool max_pool = op.epilogue.max_pool;
    check_tensor(op.dy, op.x.dtype, epilogue_shape(shape, op.epilogue), "dy");
    if (op.dx) check_tensor(op.dx, op.x.dtype, shape, "dx");
    const ScratchLayout layout(shape, max_pool);
    auto* scratch = scratch_of<std::byte>(op.scratch, layout.bytes());
    const FinishSums finish{.dgamma = floats(op.dgamma, per_channel, "dgamma"),
                            .dbeta = floats(op.dbeta, per_channel, "dbeta"),
                            .mean_dz = reinterpret_cast<float*>(scratch + layout.partial_bytes),
                            .slope = reinterpret_cast<float*>(scratch + layout.partial_bytes + layout.channel_bytes),
                            .inv_std = floats(op.inv_std, per_channel, "inv_std"),
                            .rows = static_cast<double>(op.x.elements() / channels)};
    const DropoutMask mask = mask_of(op.epilogue.dropout, op.control);
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        const Operands<T> operands{.dy = static_cast<const T*>(op.dy.data),
                                   .x = static_cast<const T*>(op.x.data),
                                   .mean = floats(op.mean, per_channel, "mean"),
                                   .scale = floats(op.scale, per_channel, "scale"),
                                   .shift = floats(op.shift, per_channel, "shift"),
                                   .channels = static_cast<int>(channels),
                                   .relu = op.epilogue.relu,
                                   .height = max_pool ? static_cast<int>(shape[1]) : 0,
                                   .width = max_pool ? static_cast<int>(shape[2]) : 0};
        with_pack_width<T>(channels, {op.dx.data, op.dy.data, op.x.data, operands.mean, operands.scale, operands.shift},
                           [&](auto width) {
                               launch_backward<T, decltype(width)::value>(static_cast<T*>(op.dx.data), finish, operands,
                                                                          reinterpret_cast<float*>(scratch), shape,
                                                                          max_pool, mask, cuda);
                           });
    });
}

} // namespace scene::cuda
