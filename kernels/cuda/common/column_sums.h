#pragma once

// Sums over rows for each channel, the reduction behind batch norm, layer norm, squeeze-excitation and bias gradients.
// Two kernels: each block sums a chunk of the rows in float (at most a few hundred terms per thread), then the chunks'
// sums are added in double. The order of both depends on the shape alone.

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {

/// Blocks of the first kernel.
inline RowBlocks column_sum_blocks(int64_t groups, int64_t rows, int64_t channels, int width) {
    return {groups, rows, channels, width, 4, 8};
}

/// Bytes of the partial sums for `sums` sums per channel, with vectors of any width.
inline size_t column_sum_bytes(int64_t groups, int64_t rows, int64_t channels, int sums) {
    int64_t chunks = 0;
    for (const int width : {1, 4, 8})
        if (channels % width == 0) chunks = std::max(chunks, column_sum_blocks(groups, rows, channels, width).chunks());
    return static_cast<size_t>(groups * chunks * sums * channels) * sizeof(float);
}

/// partial [groups, chunks, S, C]. Each thread has its own copy of `terms`, for V channels: start(group, first channel)
/// is called once, then add(sums, row) for each of the thread's rows.
template <int V, int S, typename Terms> __global__ void __launch_bounds__(block_threads)
    sum_chunks(float* partial, Terms terms, int64_t rows, int64_t rows_per_chunk, int channels) {
    float* shared = dynamic_shared<float>(); // [blockDim.y][S][V][blockDim.x]
    const int across = static_cast<int>(blockDim.x), down = static_cast<int>(blockDim.y);
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = (static_cast<int>(blockIdx.y) * across + x) * V;

    float sum[S][V] = {};
    if (channel < channels) {
        terms.start(static_cast<int>(blockIdx.z), channel);
        const int64_t first = blockIdx.x * rows_per_chunk;
        const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
        for (int64_t row = first + y; row < end; row += down) terms.add(sum, row);
    }
#pragma unroll
    for (int s = 0; s < S; ++s) {
#pragma unroll
        for (int v = 0; v < V; ++v) shared[((y * S + s) * V + v) * across + x] = sum[s][v];
    }
    __syncthreads();

    float* out = partial + (static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * S * channels;
    const int width = S * V * across;
    for (int i = y * across + x; i < width; i += across * down) {
        const int vector = i % across, v = i / across % V, s = i / across / V;
        const int c = (static_cast<int>(blockIdx.y) * across + vector) * V + v;
        if (c >= channels) continue;
        float total = 0;
        for (int row = 0; row < down; ++row) total += shared[row * width + i];
        out[s * channels + c] = total;
    }
}

constexpr int finish_channels = 32, finish_rows = 8;

/// Adds the chunks' sums and calls finish(group, channel, sums) once for each channel of each group.
template <int S, typename Finish> __global__ void __launch_bounds__(finish_channels* finish_rows)
    add_chunks(Finish finish, const float* partial, int chunks, int channels) {
    double* shared = dynamic_shared<double>(); // [finish_rows][S][finish_channels]
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = static_cast<int>(blockIdx.x) * finish_channels + x;
    const float* from = partial + static_cast<int64_t>(blockIdx.y) * chunks * S * channels;
    double sum[S] = {};
    if (channel < channels) {
        for (int chunk = y; chunk < chunks; chunk += finish_rows) {
#pragma unroll
            for (int s = 0; s < S; ++s)
                sum[s] += static_cast<double>(from[(static_cast<int64_t>(chunk) * S + s) * channels + channel]);
        }
    }
#pragma unroll
    for (int s = 0; s < S; ++s) shared[(y * S + s) * finish_channels + x] = sum[s];
    __syncthreads();
    if (y != 0 || channel >= channels) return;
    for (int row = 1; row < finish_rows; ++row) {
#pragma unroll
        for (int s = 0; s < S; ++s) sum[s] += shared[(row * S + s) * finish_channels + x];
    }
    finish(static_cast<int>(blockIdx.y), channel, sum);
}

template <int S, typename Finish> void launch_add_chunks(const Finish& finish, const float* partial, int64_t groups,
                                                         int64_t chunks, int64_t channels, cudaStream_t stream) {
    const dim3 grid(static_cast<unsigned>(divide_up(channels, finish_channels)), static_cast<unsigned>(groups));
    launch(add_chunks<S, Finish>, grid, dim3(finish_channels, finish_rows),
           finish_channels * finish_rows * S * sizeof(double), stream, finish, partial, static_cast<int>(chunks),
           static_cast<int>(channels));
}

template <int V, int S, typename Terms, typename Finish>
void launch_column_sums(const Finish& finish, const Terms& terms, float* partial, int64_t groups, int64_t rows,
                        int64_t channels, cudaStream_t stream) {
    const RowBlocks blocks = column_sum_blocks(groups, rows, channels, V);
    const size_t shared = size_t{blocks.block.x} * blocks.block.y * S * V * sizeof(float);
    launch(sum_chunks<V, S, Terms>, blocks.grid, blocks.block, shared, stream, partial, terms, rows,
           blocks.rows_per_chunk, static_cast<int>(channels));
    launch_add_chunks<S>(finish, partial, groups, blocks.chunks(), channels, stream);
}

} // namespace scene::cuda
