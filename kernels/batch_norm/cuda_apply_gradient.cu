#include "kernels/batch_norm/batch_norm.h"

#include "kernels/batch_norm/cuda_rows.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// Per-channel operands of one batch norm.
struct NormOperands {
    const float *mean, *inv_std, *scale, *dgamma, *dbeta;
};

/// dx = scale*(dz - dbeta/M - (x - mean)*inv_std*dgamma/M).
template <typename T, int V> __global__ void __launch_bounds__(block_threads, 4)
    apply_gradient(T* dx, const T* dz, const T* x, NormOperands norm, int64_t rows, int64_t rows_per_chunk,
                   int channels, float one_row) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    float mean[V], scale[V], mean_dz[V], slope[V], inv_std[V];
    load(mean, norm.mean + channel);
    load(scale, norm.scale + channel);
    load(inv_std, norm.inv_std + channel);
    load(mean_dz, norm.dbeta + channel);
    load(slope, norm.dgamma + channel);
#pragma unroll
    for (int v = 0; v < V; ++v) {
        mean_dz[v] *= one_row;
        slope[v] *= inv_std[v] * one_row;
    }
    const int down = static_cast<int>(blockDim.y), next = down * channels;
    const ChunkFromTheEnd chunk(rows, rows_per_chunk);
    for_rows<4>(chunk.first + threadIdx.y, chunk.end, down, [&](auto rows_read, int64_t row) {
        constexpr int together = decltype(rows_read)::value;
        const int64_t at = row * channels + channel;
        AlignedVector<T, V> read_dz[together], read_x[together];
#pragma unroll
        for (int i = 0; i < together; ++i) {
            read_dz[i] = load_packed<V>(dz + at + i * next);
            read_x[i] = load_packed<V>(x + at + i * next);
        }
#pragma unroll
        for (int i = 0; i < together; ++i) {
            float gradient[V], value[V];
            unpack(gradient, read_dz[i]);
            unpack(value, read_x[i]);
#pragma unroll
            for (int v = 0; v < V; ++v)
                value[v] = scale[v] * (gradient[v] - mean_dz[v] - (value[v] - mean[v]) * slope[v]);
            store(dx + at + i * next, value);
        }
    });
}

} // namespace

void run(const BatchNormApplyGradient<Tensor>& op, Context& cuda) {
    const int64_t channels = channels_of(op.x, "x"), rows = op.x.elements() / channels;
    const Shape per_channel{channels};
    check_tensor(op.dx, op.x.dtype, op.x.shape, "dx");
    check_tensor(op.dz, op.x.dtype, op.x.shape, "dz");
    const NormOperands norm{.mean = floats(op.mean, per_channel, "mean"),
                            .inv_std = floats(op.inv_std, per_channel, "inv_std"),
                            .scale = floats(op.scale, per_channel, "scale"),
                            .dgamma = floats(op.dgamma, per_channel, "dgamma"),
                            .dbeta = floats(op.dbeta, per_channel, "dbeta")};
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        with_vectors_of_4<T>(
            channels, {op.dx.data, op.dz.data, op.x.data, norm.mean, norm.inv_std, norm.scale, norm.dgamma, norm.dbeta},
            [&](auto width) {
                constexpr int V = decltype(width)::value;
                const RowBlocks blocks = elementwise_blocks(cuda.limits, rows, channels, V);
                launch(apply_gradient<T, V>, blocks.grid, blocks.block, 0, cuda.stream, static_cast<T*>(op.dx.data),
                       static_cast<const T*>(op.dz.data), static_cast<const T*>(op.x.data), norm, rows,
                       blocks.rows_per_chunk, static_cast<int>(channels), 1.0f / static_cast<float>(rows));
            });
    });
}

} // namespace scene::cuda
