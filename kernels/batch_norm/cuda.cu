#include "kernels/batch_norm/batch_norm.h"

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

// ---- statistics ---------------------------------------------------------------------------------------------------

/// Chan, Golub and LeVeque's update: the moments of `count` values become those of count + other_count values.
template <typename Real>
__device__ void merge(Real& mean, Real& squares, Real count, Real other_mean, Real other_squares, Real other_count) {
    const Real share = other_count / (count + other_count), difference = other_mean - mean;
    mean += difference * share;
    squares += other_squares + difference * difference * count * share;
}

/// partial [chunks, 2, C] = mean and sum of squared deviations of each chunk of rows. A block has a chunk; its threads
/// use Welford's update, then their moments are merged.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    partial_moments(float* partial, const T* x, int64_t rows, int64_t rows_per_chunk, int channels) {
    float* shared = dynamic_shared<float>(); // [blockDim.y][2][V][blockDim.x]
    const int across = static_cast<int>(blockDim.x), down = static_cast<int>(blockDim.y);
    const int column = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = (static_cast<int>(blockIdx.y) * across + column) * V;
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int count = static_cast<int>(first + rows_per_chunk < rows ? rows_per_chunk : rows - first);

    float mean[V] = {}, squares[V] = {};
    if (channel < channels) {
        float taken = 0;
        for (int row = y; row < count; row += down) {
            float value[V];
            load(value, x + (first + row) * channels + channel);
            taken += 1;
            const float share = 1.0f / taken;
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float before = value[v] - mean[v];
                mean[v] += before * share;
                squares[v] += before * (value[v] - mean[v]);
            }
        }
    }
#pragma unroll
    for (int v = 0; v < V; ++v) {
        shared[((y * 2 + 0) * V + v) * across + column] = mean[v];
        shared[((y * 2 + 1) * V + v) * across + column] = squares[v];
    }
    __syncthreads();

    float* out = partial + static_cast<int64_t>(blockIdx.x) * 2 * channels;
    const int width = V * across;
    for (int i = y * across + column; i < width; i += across * down) {
        const int c = (static_cast<int>(blockIdx.y) * across + i % across) * V + i / across;
        if (c >= channels) continue;
        float all_mean = shared[i], all_squares = shared[width + i];
        int merged = (count + down - 1) / down; // rows of thread 0; thread y has ceil((count - y)/down)
        for (int row = 1; row < down && row < count; ++row) {
            const int others = (count - row + down - 1) / down;
            merge(all_mean, all_squares, static_cast<float>(merged), shared[row * 2 * width + i],
                  shared[(row * 2 + 1) * width + i], static_cast<float>(others));
            merged += others;
        }
        out[c] = all_mean;
        out[channels + c] = all_squares;
    }
}

constexpr int merge_channels = 32, merge_rows = 8;

__global__ void __launch_bounds__(merge_channels* merge_rows)
    merge_partials(float* mean, float* variance, const float* partial, int chunks, int64_t rows, int64_t rows_per_chunk,
                   int channels) {
    double* shared = dynamic_shared<double>(); // [merge_rows][2][merge_channels]
    const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
    const int channel = static_cast<int>(blockIdx.x) * merge_channels + x;
    // Thread y merges consecutive chunks, so that every thread knows how many rows they have.
    const int share = (chunks + merge_rows - 1) / merge_rows;
    const auto rows_before = [&](int chunk) {
        const int64_t before = chunk * rows_per_chunk;
        return static_cast<double>(before < rows ? before : rows);
    };
    const int first = y * share, end = first + share < chunks ? first + share : chunks;
    double all_mean = 0, all_squares = 0;
    if (channel < channels) {
        for (int chunk = first; chunk < end; ++chunk) {
            const float* from = partial + static_cast<int64_t>(chunk) * 2 * channels + channel;
            merge(all_mean, all_squares, rows_before(chunk) - rows_before(first), static_cast<double>(from[0]),
                  static_cast<double>(from[channels]), rows_before(chunk + 1) - rows_before(chunk));
        }
    }
    shared[(y * 2 + 0) * merge_channels + x] = all_mean;
    shared[(y * 2 + 1) * merge_channels + x] = all_squares;
    __syncthreads();
    if (y != 0 || channel >= channels) return;
    for (int row = 1; row < merge_rows && row * share < chunks; ++row)
        merge(all_mean, all_squares, rows_before(row * share), shared[row * 2 * merge_channels + x],
              shared[(row * 2 + 1) * merge_channels + x], rows_before((row + 1) * share) - rows_before(row * share));
    mean[channel] = static_cast<float>(all_mean);
    variance[channel] = static_cast<float>(all_squares / static_cast<double>(rows));
}

RowBlocks moments_blocks(int64_t rows, int64_t channels, int width) { return {1, rows, channels, width, 4, 8}; }

template <typename T, int V> void launch_statistics(float* mean, float* variance, const T* x, float* partial,
                                                    int64_t rows, int64_t channels, cudaStream_t stream) {
    const RowBlocks blocks = moments_blocks(rows, channels, V);
    const size_t shared = size_t{blocks.block.x} * blocks.block.y * 2 * V * sizeof(float);
    launch(partial_moments<T, V>, blocks.grid, blocks.block, shared, stream, partial, x, rows, blocks.rows_per_chunk,
           static_cast<int>(channels));
    launch(merge_partials, dim3(static_cast<unsigned>(divide_up(channels, merge_channels))),
           dim3(merge_channels, merge_rows), merge_channels * merge_rows * 2 * sizeof(double), stream, mean, variance,
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

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    normalize_rows(T* y, const T* x, const float* scale, const float* shift, int64_t rows, int64_t rows_per_chunk,
                   int channels, bool relu, DropoutMask mask) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    mask.read_control();
    float a[V], b[V];
    load(a, scale + channel);
    load(b, shift + channel);
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    for (int64_t row = first + threadIdx.y; row < end; row += blockDim.y) {
        const int64_t at = row * channels + channel;
        float value[V], factor[V];
        load(value, x + at);
        mask.factors(factor, at);
#pragma unroll
        for (int v = 0; v < V; ++v) value[v] = after_relu(fmaf(a[v], value[v], b[v]), relu) * factor[v];
        store(y + at, value);
    }
}

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    normalize_and_pool(T* y, const T* x, const float* scale, const float* shift, int64_t rows, int64_t rows_per_chunk,
                       int height, int width, int channels, bool relu) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    float a[V], b[V];
    load(a, scale + channel);
    load(b, shift + channel);
    const int out_height = height / 2, out_width = width / 2;
    const int64_t line = static_cast<int64_t>(width) * channels;
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    for (int64_t row = first + threadIdx.y; row < end; row += blockDim.y) {
        const int64_t out_line = row / out_width, clip = out_line / out_height;
        const T* upper =
            x + (clip * height + out_line % out_height * 2) * line + row % out_width * 2 * channels + channel;
        float largest[V], value[V];
        load(largest, upper);
#pragma unroll
        for (int v = 0; v < V; ++v) largest[v] = fmaf(a[v], largest[v], b[v]);
#pragma unroll
        for (int other = 1; other < 4; ++other) {
            load(value, upper + other / 2 * line + other % 2 * channels);
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
                       static_cast<int>(channels), op.epilogue.relu);
            } else {
                launch(normalize_rows<T, V>, blocks.grid, blocks.block, 0, cuda.stream, y, x, scale, shift, rows,
                       blocks.rows_per_chunk, static_cast<int>(channels), op.epilogue.relu, mask);
            }
        });
    });
}

} // namespace scene::cuda
