#include "kernels/squeeze_excite/squeeze_excite.h"

#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/squeeze_excite/cuda_input.h"

namespace scene::cuda {

using namespace squeeze_excite;

namespace {

template <typename T, int V, bool avg_pool> struct GateTerms {
    static constexpr int positions = avg_pool ? 4 : 1, rows_together = avg_pool ? 1 : 16 / sizeof(T) / 2;
    struct Row {
        AlignedVector<T, V> dy, x[positions];
    };

    Input<T> in;
    Divisor out_width;
    const T* dy;
    Channels<V> of;
    int64_t x_start, dy_start;

    __device__ void start(int clip, int channel) {
        of.load_all(in, clip, channel);
        x_start = in.clip_start(clip) + channel;
        dy_start = in.out_start(clip) + channel;
    }
    __device__ Row read(int64_t row) const {
        Row out;
        out.dy = load_packed<V>(dy + dy_start + row * in.channels);
        if constexpr (avg_pool) {
            const int p = out_width.divide(static_cast<int>(row)), q = out_width.rest(static_cast<int>(row), p);
#pragma unroll
            for (int i = 0; i < positions; ++i) out.x[i] = load_packed<V>(in.x + x_start + in.in_window(p, q, i));
        } else {
            out.x[0] = load_packed<V>(in.x + x_start + row * in.channels);
        }
        return out;
    }
    __device__ void add(float (&sum)[1][V], const Row& read, int64_t) const {
        constexpr float share = 1.0f / positions;
        float gradient[V], x[V];
        unpack(gradient, read.dy);
#pragma unroll
        for (int i = 0; i < positions; ++i) {
            unpack(x, read.x[i]);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float z = fmaf(of.scale[v], x[v], of.shift[v]);
                if (z * of.gate[v] > 0) sum[0][v] += gradient[v] * share * z;
            }
        }
    }
};

/// Computes dz of a position from the gradient of the unpooled output there.
template <int V> struct Derivative {
    Channels<V> of;
    float mean_share[V]; ///< dpooled/(H*W)

    template <typename T> __device__ Derivative(const Input<T>& in, const float* dpooled, int clip, int channel) {
        of.load_all(in, clip, channel);
        load(mean_share, dpooled + static_cast<int64_t>(clip) * in.channels + channel);
        const float share = 1.0f / (static_cast<float>(in.height) * static_cast<float>(in.width));
#pragma unroll
        for (int v = 0; v < V; ++v) mean_share[v] *= share;
    }
    template <typename T> __device__ void write(T* dz, const AlignedVector<T, V>& x, const float (&gradient)[V]) const {
        float value[V];
        unpack(value, x);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const bool passes = fmaf(of.scale[v], value[v], of.shift[v]) * of.gate[v] > 0;
            value[v] = (passes ? gradient[v] * of.gate[v] : 0.0f) + mean_share[v];
        }
        store(dz, value);
    }
};

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    excite_backward(T* dz, Input<T> in, const T* dy, const float* dpooled, int64_t rows, int64_t rows_per_block) {
    const ThreadRows own(rows, rows_per_block, V);
    if (own.channel >= in.channels) return;
    const Derivative<V> derivative(in, dpooled, own.clip, own.channel);
    const int64_t start = in.clip_start(own.clip) + own.channel;
    const int next = own.step * in.channels;
    for_rows<4>(own.first, own.end, own.step, [&](auto rows_read, int64_t row) {
        constexpr int together = decltype(rows_read)::value;
        const int64_t at = start + row * in.channels;
        AlignedVector<T, V> read_dy[together], read_x[together];
#pragma unroll
        for (int i = 0; i < together; ++i) {
            read_dy[i] = load_packed<V>(dy + at + i * next);
            read_x[i] = load_packed<V>(in.x + at + i * next);
        }
#pragma unroll
        for (int i = 0; i < together; ++i) {
            float gradient[V];
            unpack(gradient, read_dy[i]);
            derivative.write(dz + at + i * next, read_x[i], gradient);
        }
    });
}

/// Rows are pooling windows, including the incomplete ones at the edges, which get no gradient from dy.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    average_backward(T* dz, Input<T> in, Divisor windows_across, const T* dy, const float* dpooled, int64_t rows,
                     int64_t rows_per_block) {
    const ThreadRows own(rows, rows_per_block, V);
    if (own.channel >= in.channels) return;
    const Derivative<V> derivative(in, dpooled, own.clip, own.channel);
    const int64_t start = in.clip_start(own.clip) + own.channel, out_start = in.out_start(own.clip) + own.channel;
    for (int64_t row = own.first; row < own.end; row += own.step) {
        const int p = windows_across.divide(static_cast<int>(row)), q = windows_across.rest(static_cast<int>(row), p);
        const auto outside = [&](int i) { return 2 * p + i / 2 >= in.height || 2 * q + i % 2 >= in.width; };
        AlignedVector<T, V> read[4];
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (!outside(i)) read[i] = load_packed<V>(in.x + start + in.in_window(p, q, i));
        float gradient[V] = {};
        if (p < in.height / 2 && q < in.width / 2)
            load(gradient, dy + out_start + (static_cast<int64_t>(p) * (in.width / 2) + q) * in.channels);
#pragma unroll
        for (int v = 0; v < V; ++v) gradient[v] *= 0.25f;
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (!outside(i)) derivative.write(dz + start + in.in_window(p, q, i), read[i], gradient);
    }
}

} // namespace

size_t scratch_bytes(const SqueezeExciteBackwardGate<TensorSpec>& op, const Planning&) {
    return sum_bytes(op.x.shape, output_rows(op.x.shape, op.avg_pool));
}

void run(const SqueezeExciteBackwardGate<Tensor>& op, Context& cuda) {
    const Shape out = per_clip(op.x);
    const int64_t clips = out[0], channels = out[1], rows = output_rows(op.x.shape, op.avg_pool);
    const float* gate = floats(op.gate, out, "gate");
    check_tensor(op.dy, op.x.dtype, output_shape(op.x.shape, op.avg_pool), "dy");
    const FinishSums finish{
        .out = floats(op.dgate, out, "dgate"), .channels = static_cast<int>(channels), .factor = 1.0};
    auto* partial = scratch_of<float>(op.scratch, sum_bytes(op.x.shape, rows));
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        const Input<T> in = input_of<T>(op, gate, op.avg_pool);
        const auto* dy = static_cast<const T*>(op.dy.data);
        with_vectors_of_4<T>(channels, {dy, in.x, in.scale, in.shift, gate}, [&](auto elements) {
            constexpr int V = decltype(elements)::value;
            if (op.avg_pool) {
                const GateTerms<T, V, true> terms{in, Divisor(op.x.shape[2] / 2), dy, {}, 0, 0};
                launch_column_sums<V, 1>(finish, terms, partial, clips, rows, channels, cuda.stream);
            } else {
                const GateTerms<T, V, false> terms{in, Divisor(1), dy, {}, 0, 0};
                launch_column_sums<V, 1>(finish, terms, partial, clips, rows, channels, cuda.stream);
            }
        });
    });
}

void run(const SqueezeExciteBackward<Tensor>& op, Context& cuda) {
    const Shape of_clips = per_clip(op.x);
    const int64_t clips = of_clips[0], channels = of_clips[1], height = op.x.shape[1], width = op.x.shape[2];
    const float* gate = floats(op.gate, of_clips, "gate");
    const float* dpooled = floats(op.dpooled, of_clips, "dpooled");
    check_tensor(op.dz, op.x.dtype, op.x.shape, "dz");
    check_tensor(op.dy, op.x.dtype, output_shape(op.x.shape, op.avg_pool), "dy");
    const int64_t rows = op.avg_pool ? divide_up(height, 2) * divide_up(width, 2) : height * width;
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        const Input<T> in = input_of<T>(op, gate, op.avg_pool);
        const auto queue = [&](auto elements) {
            constexpr int V = decltype(elements)::value;
            const RowBlocks blocks = elementwise_blocks(cuda.limits, rows, channels, V, clips);
            auto* dz = static_cast<T*>(op.dz.data);
            const auto* dy = static_cast<const T*>(op.dy.data);
            if (op.avg_pool) {
                launch(average_backward<T, V>, blocks.grid, blocks.block, 0, cuda.stream, dz, in,
                       Divisor(divide_up(width, 2)), dy, dpooled, rows, blocks.rows_per_chunk);
            } else {
                launch(excite_backward<T, V>, blocks.grid, blocks.block, 0, cuda.stream, dz, in, dy, dpooled, rows,
                       blocks.rows_per_chunk);
            }
        };
        with_vectors_of_4<T>(channels, {op.dz.data, op.dy.data, in.x, in.scale, in.shift, gate, dpooled}, queue);
    });
}

} // namespace scene::cuda
