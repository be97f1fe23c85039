#include "kernels/squeeze_excite/squeeze_excite.h"

#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/squeeze_excite/cuda_input.h"

namespace scene::cuda {

using namespace squeeze_excite;

namespace {

template <typename T, int V> struct SqueezeTerms {
    static constexpr int rows_together = 4;
    using Row = AlignedVector<T, V>;

    Input<T> in;
    Channels<V> of;
    const T* x;

    __device__ void start(int clip, int channel) {
        of.load_norm(in, channel);
        x = in.x + in.clip_start(clip) + channel;
    }
    __device__ Row read(int64_t row) const { return load_packed<V>(x + row * in.channels); }
    __device__ void add(float (&sum)[1][V], const Row& read, int64_t) const {
        float value[V];
        unpack(value, read);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[0][v] += fmaf(of.scale[v], value[v], of.shift[v]);
    }
};

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    excite(T* y, Input<T> in, int64_t rows, int64_t rows_per_block) {
    const ThreadRows own(rows, rows_per_block, V);
    if (own.channel >= in.channels) return;
    Channels<V> of;
    of.load_all(in, own.clip, own.channel);
    const int64_t start = in.clip_start(own.clip) + own.channel;
    const int next = own.step * in.channels;
    for_rows<4>(own.first, own.end, own.step, [&](auto rows_read, int64_t row) {
        constexpr int together = decltype(rows_read)::value;
        const int64_t at = start + row * in.channels;
        AlignedVector<T, V> read[together];
#pragma unroll
        for (int i = 0; i < together; ++i) read[i] = load_packed<V>(in.x + at + i * next);
#pragma unroll
        for (int i = 0; i < together; ++i) {
            float x[V];
            unpack(x, read[i]);
#pragma unroll
            for (int v = 0; v < V; ++v) x[v] = rectified(fmaf(of.scale[v], x[v], of.shift[v]) * of.gate[v]);
            store(y + at + i * next, x);
        }
    });
}

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    excite_and_average(T* y, Input<T> in, Divisor out_width, int64_t rows, int64_t rows_per_block) {
    const ThreadRows own(rows, rows_per_block, V);
    if (own.channel >= in.channels) return;
    Channels<V> of;
    of.load_all(in, own.clip, own.channel);
    const T* from = in.x + in.clip_start(own.clip) + own.channel;
    T* to = y + in.out_start(own.clip) + own.channel;
    for (int64_t row = own.first; row < own.end; row += own.step) {
        const int p = out_width.divide(static_cast<int>(row)), q = out_width.rest(static_cast<int>(row), p);
        AlignedVector<T, V> read[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) read[i] = load_packed<V>(from + in.in_window(p, q, i));
        float sum[V] = {};
#pragma unroll
        for (int line = 0; line < 2; ++line) {
            float left[V], right[V];
            unpack(left, read[2 * line]);
            unpack(right, read[2 * line + 1]);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                sum[v] += rectified(fmaf(of.scale[v], left[v], of.shift[v]) * of.gate[v]) +
                          rectified(fmaf(of.scale[v], right[v], of.shift[v]) * of.gate[v]);
            }
        }
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] *= 0.25f;
        store(to + row * in.channels, sum);
    }
}

} // namespace

size_t scratch_bytes(const SqueezeExciteSqueeze<TensorSpec>& op, const Planning&) {
    return sum_bytes(op.x.shape, output_rows(op.x.shape, false));
}

void run(const SqueezeExciteSqueeze<Tensor>& op, Context& cuda) {
    const Shape out = per_clip(op.x);
    const int64_t clips = out[0], channels = out[1], rows = output_rows(op.x.shape, false);
    const FinishSums finish{.out = floats(op.pooled, out, "pooled"),
                            .channels = static_cast<int>(channels),
                            .factor = 1.0 / static_cast<double>(rows)};
    auto* partial = scratch_of<float>(op.scratch, sum_bytes(op.x.shape, rows));
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        const Input<T> in = input_of<T>(op, nullptr, false);
        with_pack_width<T>(channels, {in.x, in.scale, in.shift}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch_column_sums<V, 1>(finish, SqueezeTerms<T, V>{in, {}, nullptr}, partial, clips, rows, channels,
                                     cuda.stream);
        });
    });
}

void run(const SqueezeExciteForward<Tensor>& op, Context& cuda) {
    const Shape of_clips = per_clip(op.x);
    const int64_t clips = of_clips[0], channels = of_clips[1], rows = output_rows(op.x.shape, op.avg_pool);
    const float* gate = floats(op.gate, of_clips, "gate");
    check_tensor(op.y, op.x.dtype, output_shape(op.x.shape, op.avg_pool), "y");
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        const Input<T> in = input_of<T>(op, gate, op.avg_pool);
        with_pack_width<T>(channels, {op.y.data, in.x, in.scale, in.shift, gate}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const RowBlocks blocks = elementwise_blocks(cuda.limits, rows, channels, V, clips);
            auto* y = static_cast<T*>(op.y.data);
            if (op.avg_pool) {
                launch(excite_and_average<T, V>, blocks.grid, blocks.block, 0, cuda.stream, y, in,
                       Divisor(op.x.shape[2] / 2), rows, blocks.rows_per_chunk);
            } else {
                launch(excite<T, V>, blocks.grid, blocks.block, 0, cuda.stream, y, in, rows, blocks.rows_per_chunk);
            }
        });
    });
}

} // namespace scene::cuda
