#include "kernels/batch_norm/batch_norm.h"

#include "kernels/batch_norm/cuda_rows.h"
#include "kernels/batch_norm/pooled_output.h"
#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/common/divisor.h"
#include "kernels/cuda/context.h"

namespace scene::cuda {
namespace {

/// Operands of both passes. Pass 1 sums dz and dz*(x - mean) for each channel; pass 2 writes
/// dx = scale*(dz - mean_dz - (x - mean)*slope), with slope = inv_std*mean(dz*xhat). z = scale*x + shift.
template <typename T> struct Operands {
    const T *dy, *x, *y;
    const float *mean, *inv_std, *scale, *shift;
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
    __device__ float z(int v, float x) const { return fmaf(scale[v], x, shift[v]); }
};

/// Where a thread's 2x2 pooling windows lie. There are rows_of_windows x columns_of_windows per clip. Pass 2 rounds
/// these counts up and so includes the incomplete windows at the right and lower edge.
struct WindowGrid {
    Divisor rows_of_windows, columns_of_windows;

    template <typename T> WindowGrid(const Operands<T>& op, bool incomplete_too)
        : rows_of_windows((op.height + incomplete_too) / 2), columns_of_windows((op.width + incomplete_too) / 2) {}
};

/// The window number `row`.
struct Window {
    int64_t first; ///< element index of its upper left position, channel 0
    int64_t out;   ///< element index of the pooled output, channel 0; meaningless if the window is incomplete
    int h, w;

    template <typename T> __device__ Window(const WindowGrid& grid, const Operands<T>& op, int64_t row) {
        const int line = grid.columns_of_windows.divide(static_cast<int>(row));
        const int clip = grid.rows_of_windows.divide(line), p = grid.rows_of_windows.rest(line, clip);
        const int q = grid.columns_of_windows.rest(static_cast<int>(row), line);
        h = 2 * p, w = 2 * q;
        first = (static_cast<int64_t>(clip * op.height + h) * op.width + w) * op.channels;
        out = (static_cast<int64_t>(clip * (op.height / 2) + p) * (op.width / 2) + q) * op.channels;
    }
};

/// The element of position i of a window, from its first.
template <typename T> __device__ int position(const Operands<T>& op, int i) {
    return (i / 2 * op.width + i % 2) * op.channels;
}

// ---- pass 1 -------------------------------------------------------------------------------------------------------

template <typename T, int V, bool dropped> struct RowTerms {
    static constexpr int rows_together = dropped ? 1 : 4;
    struct Row {
        AlignedVector<T, V> x, dy;
    };

    Operands<T> op;
    DropoutMask mask;
    Channels<V> per_channel;
    int channel;

    __device__ void start(int, int first_channel) {
        channel = first_channel;
        per_channel.load_from(op, channel);
        if (dropped) mask.read_control();
    }
    __device__ Row read(int64_t row) const {
        const int64_t at = row * op.channels + channel;
        return {load_packed<V>(op.x + at), load_packed<V>(op.dy + at)};
    }
    __device__ void add(float (&sum)[2][V], const Row& read, int64_t row) const {
        float x[V], dy[V], factor[V];
        unpack(x, read.x);
        unpack(dy, read.dy);
        if (dropped) mask.factors(factor, row * op.channels + channel);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            if (dropped) dy[v] *= factor[v];
            const float dz = op.passes(per_channel.z(v, x[v])) ? dy[v] : 0.0f;
            sum[0][v] += dz;
            sum[1][v] += dz * (x[v] - per_channel.mean[v]);
        }
    }
};

template <typename T, int V> struct PooledTerms {
    static constexpr int rows_together = 1;
    struct Row {
        AlignedVector<T, V> x[4], dy;
    };

    Operands<T> op;
    WindowGrid grid;
    Channels<V> per_channel;
    int channel;

    __device__ void start(int, int first_channel) {
        channel = first_channel;
        per_channel.load_from(op, channel);
    }
    __device__ Row read(int64_t row) const {
        const Window window(grid, op, row);
        Row out;
#pragma unroll
        for (int i = 0; i < 4; ++i) out.x[i] = load_packed<V>(op.x + window.first + position(op, i) + channel);
        out.dy = load_packed<V>(op.dy + window.out + channel);
        return out;
    }
    __device__ void add(float (&sum)[2][V], const Row& read, int64_t) const {
        float at[V], largest[V], x[V], dy[V];
        unpack(at, read.x[0]);
#pragma unroll
        for (int v = 0; v < V; ++v) largest[v] = per_channel.z(v, at[v]);
#pragma unroll
        for (int other = 1; other < 4; ++other) {
            unpack(x, read.x[other]);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float z = per_channel.z(v, x[v]);
                if (z > largest[v]) largest[v] = z, at[v] = x[v];
            }
        }
        unpack(dy, read.dy);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float dz = op.passes(largest[v]) ? dy[v] : 0.0f;
            sum[0][v] += dz;
            sum[1][v] += dz * (at[v] - per_channel.mean[v]);
        }
    }
};

/// The same sums from the pooled output y, whose rows are those of dy.
template <typename T, int V> struct OutputTerms {
    static constexpr int rows_together = 4;
    struct Row {
        AlignedVector<T, V> y, dy;
    };

    Operands<T> op;
    float beta[V], per_scale[V];
    int channel;

    __device__ Row read(int64_t row) const {
        const int64_t at = row * op.channels + channel;
        return {load_packed<V>(op.y + at), load_packed<V>(op.dy + at)};
    }
    __device__ void add(float (&sum)[2][V], const Row& read, int64_t) const {
        float y[V], dy[V];
        unpack(y, read.y);
        unpack(dy, read.dy);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float dz = op.passes(y[v]) ? dy[v] : 0.0f;
            sum[0][v] += dz;
            sum[1][v] += dz * ((y[v] - beta[v]) * per_scale[v]);
        }
    }
};

/// The same sums from y for channels where that is precise enough (BatchNormBackward says where), and from x for
/// others.
template <typename T, int V> struct PooledOutputTerms {
    Operands<T> op;
    WindowGrid grid;
    int channel;

    __device__ void start(int, int first_channel) { channel = first_channel; }
    __device__ void add_rows(float (&sum)[2][V], int64_t row, int64_t end, int step) const {
        OutputTerms<T, V> from_y{op, {}, {}, channel};
        float mean[V], inv_std[V], scale[V], shift[V];
        load(mean, op.mean + channel);
        load(inv_std, op.inv_std + channel);
        load(scale, op.scale + channel);
        load(shift, op.shift + channel);
        bool precise = true; // false for NaN
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float gamma = fabsf(scale[v] / inv_std[v]), beta = fmaf(mean[v], scale[v], shift[v]);
            precise = precise && fabsf(beta) <= gamma && gamma >= 1.0f / 1024;
            from_y.beta[v] = beta;
            from_y.per_scale[v] = 1.0f / scale[v];
        }
        if (precise) {
            cuda::add_rows(sum, from_y, row, end, step);
        } else {
            PooledTerms<T, V> from_x{op, grid, {}, 0};
            from_x.start(0, channel);
            cuda::add_rows(sum, from_x, row, end, step);
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

/// Per-channel operands of pass 2.
template <int V> struct Slopes {
    float mean_dz[V], slope[V];

    __device__ Slopes(const FinishSums& sums, int channel) {
        load(mean_dz, sums.mean_dz + channel);
        load(slope, sums.slope + channel);
    }
    __device__ float dx(int v, const Channels<V>& of, float dz, float x) const {
        return of.scale[v] * (dz - mean_dz[v] - (x - of.mean[v]) * slope[v]);
    }
};

template <typename T, int V, bool dropped> __global__ void __launch_bounds__(block_threads)
    write_rows(T* dx, Operands<T> op, FinishSums sums, int64_t rows, int64_t rows_per_chunk, DropoutMask mask) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= op.channels) return;
    if (dropped) mask.read_control();
    Channels<V> per_channel;
    per_channel.load_from(op, channel);
    const Slopes<V> slopes(sums, channel);
    const int down = static_cast<int>(blockDim.y);
    const ChunkFromTheEnd chunk(rows, rows_per_chunk);
    for_rows<(dropped ? 1 : 4)>(chunk.first + threadIdx.y, chunk.end, down, [&](auto rows_read, int64_t row) {
        constexpr int together = decltype(rows_read)::value;
        const int64_t at = row * op.channels + channel;
        const int next = down * op.channels;
        AlignedVector<T, V> read_x[together], read_dy[together];
#pragma unroll
        for (int i = 0; i < together; ++i) {
            read_x[i] = load_packed<V>(op.x + at + i * next);
            read_dy[i] = load_packed<V>(op.dy + at + i * next);
        }
#pragma unroll
        for (int i = 0; i < together; ++i) {
            float x[V], dy[V], factor[V];
            unpack(x, read_x[i]);
            unpack(dy, read_dy[i]);
            if (dropped) mask.factors(factor, at + i * next);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                if (dropped) dy[v] *= factor[v];
                const float dz = op.passes(per_channel.z(v, x[v])) ? dy[v] : 0.0f;
                x[v] = slopes.dx(v, per_channel, dz, x[v]);
            }
            store(dx + at + i * next, x);
        }
    });
}

/// Pass 2 with pooling. Each row is a window, the incomplete ones at the edges included: there dz = 0.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    write_windows(T* dx, Operands<T> op, WindowGrid grid, FinishSums sums, int64_t rows, int64_t rows_per_chunk) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= op.channels) return;
    Channels<V> per_channel;
    per_channel.load_from(op, channel);
    const Slopes<V> slopes(sums, channel);
    const ChunkFromTheEnd chunk(rows, rows_per_chunk);
    for (int64_t row = chunk.first + threadIdx.y; row < chunk.end; row += blockDim.y) {
        const Window window(grid, op, row);
        const bool has_right = window.w + 1 < op.width, has_lower = window.h + 1 < op.height;
        const T* x = op.x + window.first + channel;
        T* out = dx + window.first + channel;
        if (has_right && has_lower) {
            AlignedVector<T, V> read[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) read[i] = load_packed<V>(x + position(op, i));
            float dy[V], largest[V], value[V];
            load(dy, op.dy + window.out + channel);
            int winner[V]; // the position in the window that dy goes to
            unpack(value, read[0]);
#pragma unroll
            for (int v = 0; v < V; ++v) largest[v] = per_channel.z(v, value[v]), winner[v] = 0;
#pragma unroll
            for (int i = 1; i < 4; ++i) {
                unpack(value, read[i]);
#pragma unroll
                for (int v = 0; v < V; ++v) {
                    const float z = per_channel.z(v, value[v]);
                    if (z > largest[v]) largest[v] = z, winner[v] = i;
                }
            }
#pragma unroll
            for (int v = 0; v < V; ++v)
                if (!op.passes(largest[v])) dy[v] = 0;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                unpack(value, read[i]);
#pragma unroll
                for (int v = 0; v < V; ++v)
                    value[v] = slopes.dx(v, per_channel, winner[v] == i ? dy[v] : 0.0f, value[v]);
                store(out + position(op, i), value);
            }
        } else {
            for (int i = 0; i < 4; ++i) {
                if ((i % 2 == 1 && !has_right) || (i / 2 == 1 && !has_lower)) continue;
                float value[V];
                load(value, x + position(op, i));
#pragma unroll
                for (int v = 0; v < V; ++v) value[v] = slopes.dx(v, per_channel, 0.0f, value[v]);
                store(out + position(op, i), value);
            }
        }
    }
}

template <typename T, int V> void launch_backward_of_windows(T* dx, const FinishSums& finish, const Operands<T>& op,
                                                             float* partial, int64_t clips, const Context& cuda) {
    const int64_t pooled_rows = clips * (op.height / 2) * (op.width / 2);
    const WindowGrid grid(op, false);
    if (op.y) {
        launch_column_sums<V, 2>(finish, PooledOutputTerms<T, V>{op, grid, 0}, partial, 1, pooled_rows, op.channels,
                                 cuda.stream);
    } else {
        launch_column_sums<V, 2>(finish, PooledTerms<T, V>{op, grid, {}, 0}, partial, 1, pooled_rows, op.channels,
                                 cuda.stream);
    }
    if (!dx) return;
    const int64_t windows = clips * ((op.height + 1) / 2) * ((op.width + 1) / 2);
    const RowBlocks blocks = elementwise_blocks(cuda.limits, windows, op.channels, V);
    launch(write_windows<T, V>, blocks.grid, blocks.block, 0, cuda.stream, dx, op, WindowGrid(op, true), finish,
           windows, blocks.rows_per_chunk);
}

template <typename T, int V, bool dropped>
void launch_backward_of_rows(T* dx, const FinishSums& finish, const Operands<T>& op, float* partial, int64_t rows,
                             const DropoutMask& mask, const Context& cuda) {
    launch_column_sums<V, 2>(finish, RowTerms<T, V, dropped>{op, mask, {}, 0}, partial, 1, rows, op.channels,
                             cuda.stream);
    if (!dx) return;
    const RowBlocks blocks = elementwise_blocks(cuda.limits, rows, op.channels, V);
    launch(write_rows<T, V, dropped>, blocks.grid, blocks.block, 0, cuda.stream, dx, op, finish, rows,
           blocks.rows_per_chunk, mask);
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
    check_pixels(shape, max_pool);
    check_tensor(op.dy, op.x.dtype, epilogue_shape(shape, op.epilogue), "dy");
    if (op.dx) check_tensor(op.dx, op.x.dtype, shape, "dx");
    check_pooled_output(op);
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
        const bool reads_output = !std::is_same_v<T, bfloat16>; // which has too few digits for xhat
        const Operands<T> operands{.dy = static_cast<const T*>(op.dy.data),
                                   .x = static_cast<const T*>(op.x.data),
                                   .y = reads_output ? static_cast<const T*>(op.y.data) : nullptr,
                                   .mean = floats(op.mean, per_channel, "mean"),
                                   .inv_std = finish.inv_std,
                                   .scale = floats(op.scale, per_channel, "scale"),
                                   .shift = floats(op.shift, per_channel, "shift"),
                                   .channels = static_cast<int>(channels),
                                   .relu = op.epilogue.relu,
                                   .height = max_pool ? static_cast<int>(shape[1]) : 0,
                                   .width = max_pool ? static_cast<int>(shape[2]) : 0};
        auto* dx = static_cast<T*>(op.dx.data);
        auto* partial = reinterpret_cast<float*>(scratch);
        with_vectors_of_4<T>(
            channels, {op.dx.data, op.dy.data, op.x.data, op.y.data, operands.mean, operands.scale, operands.shift},
            [&](auto width) {
                constexpr int V = decltype(width)::value;
                const int64_t rows = op.x.elements() / channels;
                if (max_pool) {
                    launch_backward_of_windows<T, V>(dx, finish, operands, partial, shape[0], cuda);
                } else if (op.epilogue.dropout.p > 0) {
                    launch_backward_of_rows<T, V, true>(dx, finish, operands, partial, rows, mask, cuda);
                } else {
                    launch_backward_of_rows<T, V, false>(dx, finish, operands, partial, rows, mask, cuda);
                }
            });
    });
}

} // namespace scene::cuda
