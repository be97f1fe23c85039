#include "kernels/batch_norm/batch_norm.h"

#include "kernels/batch_norm/cuda_rows.h"
#include "kernels/cuda/common/divisor.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

// ---- statistics ---------------------------------------------------------------------------------------------------

/// Chan, Golub and LeVeque's update: the moments of `count` values become those of count + other_count values.
__device__ void merge(float& mean, float& squares, float count, float other_mean, float other_squares,
                      float other_count) {
    const float share = other_count / (count + other_count), difference = other_mean - mean;
    mean += difference * share;
    squares += other_squares + difference * difference * count * share;
}

/// partial [chunks, 2, C] = mean and sum of squared deviations of each chunk of rows. A block has a chunk; its threads
/// use Welford's update, then their moments are merged.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    partial_moments(float* partial, const T* x, int64_t rows, int64_t rows_per_chunk, int channels) {
    float* shared = dynamic_shared<float>(); // [2][V][pitch]
    const int across = static_cast<int>(blockDim.x), down = static_cast<int>(blockDim.y);
    const int pitch = shared_pitch(across, down);
    const int column = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = (static_cast<int>(blockIdx.y) * across + column) * V;
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int count = static_cast<int>(first + rows_per_chunk < rows ? rows_per_chunk : rows - first);

    float mean[V] = {}, squares[V] = {};
    if (channel < channels) {
        float taken = 0;
        const T* from = x + first * channels + channel;
        for_rows<4>(y, count, down, [&](auto rows_read, int64_t row) {
            constexpr int together = decltype(rows_read)::value;
            AlignedVector<T, V> read[together];
#pragma unroll
            for (int i = 0; i < together; ++i) read[i] = load_packed<V>(from + (row + i * down) * channels);
#pragma unroll
            for (int i = 0; i < together; ++i) {
                float value[V];
                unpack(value, read[i]);
                taken += 1;
                const float share = 1.0f / taken;
#pragma unroll
                for (int v = 0; v < V; ++v) {
                    const float before = value[v] - mean[v];
                    mean[v] += before * share;
                    squares[v] += before * (value[v] - mean[v]);
                }
            }
        });
    }
#pragma unroll
    for (int v = 0; v < V; ++v) {
        shared[v * pitch + y * across + column] = mean[v];
        shared[(V + v) * pitch + y * across + column] = squares[v];
    }
    __syncthreads();

    float* out = partial + static_cast<int64_t>(blockIdx.x) * 2 * channels;
    const int width = V * across;
    for (int i = y * across + column; i < width; i += across * down) {
        const int c = (static_cast<int>(blockIdx.y) * across + i % across) * V + i / across;
        if (c >= channels) continue;
        const float* means = shared + i / across * pitch + i % across;
        const float* sums = means + V * pitch;
        float all_mean = means[0], all_squares = sums[0];
        int merged = (count + down - 1) / down; // rows of thread 0; thread y has ceil((count - y)/down)
        for (int row = 1; row < down && row < count; ++row) {
            const int others = (count - row + down - 1) / down;
            merge(all_mean, all_squares, static_cast<float>(merged), means[row * across], sums[row * across],
                  static_cast<float>(others));
            merged += others;
        }
        out[c] = all_mean;
        out[channels + c] = all_squares;
    }
}

/// Few channels and many rows, so that many loads are on their way at once.
constexpr int merge_channels = 16, merge_rows = 32;

/// The sum of the blocks' `value` over threadIdx.y, in every thread. `shared` [merge_rows][merge_channels] may be
/// reused after the next barrier.
__device__ double sum_over_rows(double value, double* shared) {
    const int x = static_cast<int>(threadIdx.x);
    shared[static_cast<int>(threadIdx.y) * merge_channels + x] = value;
    __syncthreads();
    double sum = 0;
    for (int row = 0; row < merge_rows; ++row) sum += shared[row * merge_channels + x];
    return sum;
}

/// Two passes over the partial moments, which are in a cache: the mean of all rows; then the squared deviations from
/// it, a chunk's own and count*(its mean - mean)^2.
__global__ void __launch_bounds__(merge_channels* merge_rows)
    merge_partials(float* mean, float* variance, const float* partial, int chunks, int64_t rows, int64_t rows_per_chunk,
                   int channels) {
    double* shared = dynamic_shared<double>(); // [2][merge_rows][merge_channels]
    const int y = static_cast<int>(threadIdx.y);
    const int channel = static_cast<int>(blockIdx.x) * merge_channels + static_cast<int>(threadIdx.x);
    const int own_chunks = channel < channels ? chunks : 0;
    const auto chunk_of = [&](int chunk) { return partial + static_cast<int64_t>(chunk) * 2 * channels + channel; };
    const auto rows_of = [&](int chunk) {
        const int64_t left = rows - chunk * rows_per_chunk;
        return static_cast<double>(left < rows_per_chunk ? left : rows_per_chunk);
    };

    double sum = 0, squares = 0;
#pragma unroll 4
    for (int chunk = y; chunk < own_chunks; chunk += merge_rows)
        sum += rows_of(chunk) * static_cast<double>(chunk_of(chunk)[0]);
    const double all_mean = sum_over_rows(sum, shared) / static_cast<double>(rows);
#pragma unroll 4
    for (int chunk = y; chunk < own_chunks; chunk += merge_rows) {
        const double deviation = static_cast<double>(chunk_of(chunk)[0]) - all_mean;
        squares += static_cast<double>(chunk_of(chunk)[channels]) + rows_of(chunk) * deviation * deviation;
    }
    squares = sum_over_rows(squares, shared + merge_rows * merge_channels);
    if (y != 0 || channel >= channels) return;
    mean[channel] = static_cast<float>(all_mean);
    variance[channel] = static_cast<float>(squares / static_cast<double>(rows));
}

RowBlocks moments_blocks(int64_t rows, int64_t channels, int width) { return {1, rows, channels, width, 4, 8}; }

template <typename T, int V> void launch_statistics(float* mean, float* variance, const T* x, float* partial,
                                                    int64_t rows, int64_t channels, cudaStream_t stream) {
    const RowBlocks blocks = moments_blocks(rows, channels, V);
    const size_t shared = shared_arrays_bytes(blocks.block, 2 * V);
    launch(partial_moments<T, V>, blocks.grid, blocks.block, shared, stream, partial, x, rows, blocks.rows_per_chunk,
           static_cast<int>(channels));
    launch(merge_partials, dim3(static_cast<unsigned>(divide_up(channels, merge_channels))),
           dim3(merge_channels, merge_rows), 2 * merge_rows * merge_channels * sizeof(double), stream, mean, variance,
           partial, static_cast<int>(blocks.chunks()), rows, blocks.rows_per_chunk, static_cast<int>(channels));
}

/// Bytes of the partial moments: enough for every vector width that the channels allow.
size_t statistics_scratch_bytes(const Shape& x) {
    const int64_t channels = x[x.rank() - 1], rows = x.elements() / channels;
    int64_t chunks = 0;
    for (const int width : {1, 4, 8})
        if (channels % width == 0) chunks = std::max(chunks, moments_blocks(rows, channels, width).chunks());
    return static_cast<size_t>(chunks * 2 * channels) * sizeof(float);
}

// ---- scale and shift ----------------------------------------------------------------------------------------------

__global__ void __launch_bounds__(block_threads)
    finalize(float* scale, float* shift, float* inv_std, float* running_mean, float* running_variance,
             const float* mean, const float* variance, const float* gamma, const float* beta, int channels,
             float unbiased, float momentum, float epsilon) {
    const int c = static_cast<int>(thread_in_grid());
    if (c >= channels) return;
    const float inverse = 1.0f / sqrtf(variance[c] + epsilon);
    const float a = gamma[c] * inverse;
    inv_std[c] = inverse;
    scale[c] = a;
    shift[c] = beta[c] - mean[c] * a;
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_variance[c] = (1 - momentum) * running_variance[c] + momentum * (variance[c] * unbiased);
}

__global__ void __launch_bounds__(block_threads)
    fold(float* scale, float* shift, const float* mean, const float* variance, const float* gamma, const float* beta,
         int channels, float epsilon) {
    const int c = static_cast<int>(thread_in_grid());
    if (c >= channels) return;
    const float a = gamma[c] / sqrtf(variance[c] + epsilon);
    scale[c] = a;
    shift[c] = beta[c] - mean[c] * a;
}

// ---- forward ------------------------------------------------------------------------------------------------------

__device__ float after_relu(float z, bool relu) { return relu ? rectified(z) : z; }

template <typename T, int V, bool dropped> __global__ void __launch_bounds__(block_threads)
    normalize_rows(T* y, const T* x, const float* scale, const float* shift, int64_t rows, int64_t rows_per_chunk,
                   int channels, bool relu, DropoutMask mask) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    if (dropped) mask.read_control();
    float a[V], b[V];
    load(a, scale + channel);
    load(b, shift + channel);
    const int down = static_cast<int>(blockDim.y);
    const ChunkFromTheEnd chunk(rows, rows_per_chunk);
    for_rows<(dropped ? 1 : 4)>(chunk.first + threadIdx.y, chunk.end, down, [&](auto rows_read, int64_t row) {
        constexpr int together = decltype(rows_read)::value;
        const int64_t at = row * channels + channel;
        AlignedVector<T, V> read[together];
#pragma unroll
        for (int i = 0; i < together; ++i) read[i] = load_packed<V>(x + at + i * down * channels);
#pragma unroll
        for (int i = 0; i < together; ++i) {
            float value[V], factor[V];
            unpack(value, read[i]);
            if (dropped) mask.factors(factor, at + i * down * channels);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                value[v] = after_relu(fmaf(a[v], value[v], b[v]), relu);
                if (dropped) value[v] *= factor[v];
            }
            store(y + at + i * down * channels, value);
        }
    });
}

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    normalize_and_pool(T* y, const T* x, const float* scale, const float* shift, int64_t rows, int64_t rows_per_chunk,
                       int height, int width, int channels, Divisor out_height, Divisor out_width, bool relu) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    float a[V], b[V];
    load(a, scale + channel);
    load(b, shift + channel);
    const int line = width * channels;
    const ChunkFromTheEnd chunk(rows, rows_per_chunk);
    for (int64_t row = chunk.first + threadIdx.y; row < chunk.end; row += blockDim.y) {
        const int out_line = out_width.divide(static_cast<int>(row)), clip = out_height.divide(out_line);
        const int p = out_height.rest(out_line, clip), q = out_width.rest(static_cast<int>(row), out_line);
        const T* upper = x + (static_cast<int64_t>(clip * height + p * 2) * width + q * 2) * channels + channel;
        AlignedVector<T, V> read[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) read[i] = load_packed<V>(upper + i / 2 * line + i % 2 * channels);
        float largest[V], value[V];
        unpack(largest, read[0]);
#pragma unroll
        for (int v = 0; v < V; ++v) largest[v] = fmaf(a[v], largest[v], b[v]);
#pragma unroll
        for (int other = 1; other < 4; ++other) {
            unpack(value, read[other]);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float z = fmaf(a[v], value[v], b[v]);
                largest[v] = larger(z, largest[v]);
            }
        }
#pragma unroll
        for (int v = 0; v < V; ++v) value[v] = after_relu(largest[v], relu);
        store(y + row * channels + channel, value);
    }
}

} // namespace

size_t scratch_bytes(const BatchNormStatistics<TensorSpec>& op, const Planning&) {
    return statistics_scratch_bytes(op.x.shape);
}

void run(const BatchNormStatistics<Tensor>& op, Context& cuda) {
    const int64_t channels = channels_of(op.x, "x"), rows = op.x.elements() / channels;
    float* mean = floats(op.mean, {channels}, "mean");
    float* variance = floats(op.variance, {channels}, "variance");
    auto* partial = scratch_of<float>(op.scratch, statistics_scratch_bytes(op.x.shape));
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        with_pack_width<T>(channels, {op.x.data}, [&](auto width) {
            launch_statistics<T, decltype(width)::value>(mean, variance, static_cast<const T*>(op.x.data), partial,
                                                         rows, channels, cuda.stream);
        });
    });
}

void run(const BatchNormFinalize<Tensor>& op, Context& cuda) {
    const int64_t channels = channels_of(op.mean, "mean");
    const Shape per_channel{channels};
    launch(finalize, blocks_over(channels), dim3(block_threads), 0, cuda.stream, floats(op.scale, per_channel, "scale"),
           floats(op.shift, per_channel, "shift"), floats(op.inv_std, per_channel, "inv_std"),
           floats(op.running_mean, per_channel, "running_mean"),
           floats(op.running_variance, per_channel, "running_variance"), floats(op.mean, per_channel, "mean"),
           floats(op.variance, per_channel, "variance"), floats(op.gamma, per_channel, "gamma"),
           floats(op.beta, per_channel, "beta"), static_cast<int>(channels), op.bessel_correction(), op.momentum,
           op.epsilon);
}

void run(const BatchNormFold<Tensor>& op, Context& cuda) {
    const int64_t channels = channels_of(op.running_mean, "running_mean");
    const Shape per_channel{channels};
    launch(fold, blocks_over(channels), dim3(block_threads), 0, cuda.stream, floats(op.scale, per_channel, "scale"),
           floats(op.shift, per_channel, "shift"), floats(op.running_mean, per_channel, "running_mean"),
           floats(op.running_variance, per_channel, "running_variance"), floats(op.gamma, per_channel, "gamma"),
           floats(op.beta, per_channel, "beta"), static_cast<int>(channels), op.epsilon);
}

void run(const BatchNormForward<Tensor>& op, Context& cuda) {
    const Shape& shape = op.x.shape;
    const int64_t channels = channels_of(op.x, "x");
    const float* scale = floats(op.scale, {channels}, "scale");
    const float* shift = floats(op.shift, {channels}, "shift");
    check_tensor(op.y, op.x.dtype, epilogue_shape(shape, op.epilogue), "y");
    const DropoutMask mask = mask_of(op.epilogue.dropout, op.control);
    const int64_t rows = op.y.elements() / channels;
    check_pixels(shape, op.epilogue.max_pool);
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        with_pack_width<T>(channels, {op.y.data, op.x.data, scale, shift}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const RowBlocks blocks = elementwise_blocks(cuda.limits, rows, channels, V);
            auto* y = static_cast<T*>(op.y.data);
            const auto* x = static_cast<const T*>(op.x.data);
            if (op.epilogue.max_pool) {
                launch(normalize_and_pool<T, V>, blocks.grid, blocks.block, 0, cuda.stream, y, x, scale, shift, rows,
                       blocks.rows_per_chunk, static_cast<int>(shape[1]), static_cast<int>(shape[2]),
                       static_cast<int>(channels), Divisor(shape[1] / 2), Divisor(shape[2] / 2), op.epilogue.relu);
            } else {
                const auto kernel =
                    op.epilogue.dropout.p > 0 ? normalize_rows<T, V, true> : normalize_rows<T, V, false>;
                launch(kernel, blocks.grid, blocks.block, 0, cuda.stream, y, x, scale, shift, rows,
                       blocks.rows_per_chunk, static_cast<int>(channels), op.epilogue.relu, mask);
            }
        });
    });
}

} // namespace scene::cuda
