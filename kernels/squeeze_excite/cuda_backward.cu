#include "kernels/squeeze_excite/squeeze_excite.h"

#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/squeeze_excite/cuda_input.h"

namespace scene::cuda {

using namespace squeeze_excite;

namespace {

template <typename T, int V> struct GateTerms {
    Input<T> in;
    const T* dy;
    Channels<V> of;
    int64_t x_start, dy_start;

    __device__ void start(int clip, int channel) {
        of.load_all(in, clip, channel);
        x_start = in.clip_start(clip) + channel;
        dy_start = in.out_start(clip) + channel;
    }
    __device__ void add(float (&sum)[1][V], int64_t row) {
        float gradient[V];
        load(gradient, dy + dy_start + row * in.channels);
        if (!in.avg_pool) {
            add_position(sum, x_start + row * in.channels, gradient, 1.0f);
            return;
        }
        const int p = static_cast<int>(row / (in.width / 2)), q = static_cast<int>(row % (in.width / 2));
        for (int i = 0; i < 4; ++i) add_position(sum, x_start + in.in_window(p, q, i), gradient, 0.25f);
    }
    __device__ void add_position(float (&sum)[1][V], int64_t at, const float (&gradient)[V], float share) {
        float x[V];
        load(x, in.x + at);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const float z = fmaf(of.scale[v], x[v], of.shift[v]);
            if (z * of.gate[v] > 0) sum[0][v] += gradient[v] * share * z;
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
    template <typename T> __device__ void write(T* dz, const T* x, const float (&gradient)[V]) const {
        float value[V];
        load(value, x);
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
    for (int64_t row = own.first; row < own.end; row += own.step) {
        const int64_t at = start + row * in.channels;
        float gradient[V];
        load(gradient, dy + at);
        derivative.write(dz + at, in.x + at, gradient);
    }
}

/// Rows are pooling windows, including the incomplete ones at the edges, which get no gradient from dy.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    average_backward(T* dz, Input<T> in, const T* dy, const float* dpooled, int64_t rows, int64_t rows_per_block) {
    const ThreadRows own(rows, rows_per_block, V);
    if (own.channel >= in.channels) return;
    const Derivative<V> derivative(in, dpooled, own.clip, own.channel);
    const int64_t start = in.clip_start(own.clip) + own.channel, out_start = in.out_start(own.clip) + own.channel;
    const int windows_across = (in.width + 1) / 2;
    for (int64_t row = own.first; row < own.end; row += own.step) {
        const int p = static_cast<int>(row / windows_across), q = static_cast<int>(row % windows_across);
        float gradient[V] = {};
        if (p < in.height / 2 && q < in.width / 2)
            load(gradient, dy + out_start + (static_cast<int64_t>(p) * (in.width / 2) + q) * in.channels);
#pragma unroll
        for (int v = 0; v < V; ++v) gradient[v] *= 0.25f;
        for (int i = 0; i < 4; ++i) {
            if (2 * p + i / 2 >= in.height || 2 * q + i % 2 >= in.width) continue;
            const int64_t at = start + in.in_window(p, q, i);
            derivative.write(dz + at, in.x + at, gradient);
        }
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
        with_pack_width<T>(channels, {op.dy.data, in.x, in.scale, in.shift, gate}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch_column_sums<V, 1>(finish, GateTerms<T, V>{in, static_cast<const T*>(op.dy.data), {}, 0, 0}, partial,
                                     clips, rows, channels, cuda.stream);
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
            launch(op.avg_pool ? average_backward<T, V> : excite_backward<T, V>, blocks.grid, blocks.block, 0,
                   cuda.stream, static_cast<T*>(op.dz.data), in, static_cast<const T*>(op.dy.data), dpooled, rows,
                   blocks.rows_per_chunk);
        };
        with_pack_width<T>(channels, {op.dz.data, op.dy.data, in.x, in.scale, in.shift, gate, dpooled}, queue);
    });
}

} // namespace scene::cuda
