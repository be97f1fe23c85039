#pragma once

// Sums over rows for each channel, the reduction behind batch norm, layer norm, squeeze-excitation and bias gradients.
// Two kernels: each block sums a chunk of the rows in float (at most a few hundred terms per thread), then the chunks'
// sums are added in double. The order of both depends on the shape alone.
//
// The terms of a sum are an object `terms`, of which each thread has its own copy for V channels. start(group, first
// channel) is called once. Then, for each of the thread's rows, add(sums, row); or, if it has a type Row and a number
// rows_together, read(row) for so many rows before add(sums, what was read, row), so that their loads overlap; or
// add_rows(sums, row, end, step) for all rows.

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

/// Adds the terms of a thread's rows `row`, row + step, ... below `end`.
template <int V, int S, typename Terms>
__device__ void add_rows(float (&sum)[S][V], Terms& terms, int64_t row, int64_t end, int step) {
    if constexpr (requires { typename Terms::Row; }) {
        for_rows<Terms::rows_together>(row, end, step, [&](auto count, int64_t first) {
            constexpr int rows_read = decltype(count)::value;
            typename Terms::Row read[rows_read];
#pragma unroll
            for (int i = 0; i < rows_read; ++i) read[i] = terms.read(first + i * step);
#pragma unroll
            for (int i = 0; i < rows_read; ++i) terms.add(sum, read[i], first + i * step);
        });
    } else if constexpr (requires { terms.add_rows(sum, row, end, step); }) {
        terms.add_rows(sum, row, end, step);
    } else {
        for (; row < end; row += step) terms.add(sum, row);
    }
}

/// partial [groups, chunks, S, C]. The grid has four blocks for each multiprocessor, which 64 registers allow at once.
template <int V, int S, typename Terms> __global__ void __launch_bounds__(block_threads, 4)
    sum_chunks(float* partial, Terms terms, int64_t rows, int64_t rows_per_chunk, int channels) {
    float* shared = dynamic_shared<float>(); // [S][V][pitch]
    const int across = static_cast<int>(blockDim.x), down = static_cast<int>(blockDim.y);
    const int pitch = shared_pitch(across, down);
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = (static_cast<int>(blockIdx.y) * across + x) * V;

    float sum[S][V] = {};
    if (channel < channels) {
        terms.start(static_cast<int>(blockIdx.z), channel);
        const int64_t first = blockIdx.x * rows_per_chunk;
        const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
        add_rows(sum, terms, first + y, end, down);
    }
#pragma unroll
    for (int s = 0; s < S; ++s) {
#pragma unroll
        for (int v = 0; v < V; ++v) shared[(s * V + v) * pitch + y * across + x] = sum[s][v];
    }
    __syncthreads();

    float* out = partial + (static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * S * channels;
    const int width = S * V * across;
    for (int i = y * across + x; i < width; i += across * down) {
        const int vector = i % across, v = i / across % V, s = i / across / V;
        const int c = (static_cast<int>(blockIdx.y) * across + vector) * V + v;
        if (c >= channels) continue;
        float total = 0;
        for (int row = 0; row < down; ++row) total += shared[(i / across) * pitch + row * across + vector];
        out[s * channels + c] = total;
    }
}

/// Few channels and many rows: a sum over some 500 chunks waits for memory, so it needs many loads at once.
constexpr int finish_channels = 16, finish_rows = 32;

/// Adds the chunks' sums and calls finish(group, channel, sums) once for each channel of each group.
template <int S, typename Finish> __global__ void __launch_bounds__(finish_channels* finish_rows)
    add_chunks(Finish finish, const float* partial, int chunks, int channels) {
    double* shared = dynamic_shared<double>(); // [finish_rows][S][finish_channels]
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = static_cast<int>(blockIdx.x) * finish_channels + x;
    const float* from = partial + static_cast<int64_t>(blockIdx.y) * chunks * S * channels;
    double sum[S] = {};
    if (channel < channels) {
#pragma unroll 4
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
    launch(sum_chunks<V, S, Terms>, blocks.grid, blocks.block, shared_arrays_bytes(blocks.block, S * V), stream,
           partial, terms, rows, blocks.rows_per_chunk, static_cast<int>(channels));
    launch_add_chunks<S>(finish, partial, groups, blocks.chunks(), channels, stream);
}

} // namespace scene::cuda
