#include "kernels/conv2d_bn_relu/cuda_shared.h"

namespace scene::cuda {
namespace {

/// The number of raw moments: the mean over all patches of each element [T] and of each product of two elements [T, T].
int64_t raw_moments(const StemSizes& size) { return size.patch() * (size.patch() + 1); }

/// partial [blocks, T*(T + 1)] = the sums of the raw moments over this block's input tiles. A warp has one pair of
/// patch tiles; its lanes share the positions of an input tile.
template <typename T> __global__ void __launch_bounds__(block_threads)
    sum_moments(float* partial, const T* x, StemSizes size, int tiles_per_clip, int64_t tiles) {
    float* input = dynamic_shared<float>();
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes, patch = size.patch(), groups = size.patch_tiles();
    int pair = static_cast<int>(blockIdx.y) * warps + static_cast<int>(threadIdx.x) / warp_lanes, i = 0;
    while (i < groups && pair >= groups - i) pair -= groups - i++;
    const int j = i + pair; // i <= j
    const bool works = i < groups;
    int offset_i[patch_tile], offset_j[patch_tile];
#pragma unroll
    for (int t = 0; t < patch_tile; ++t) {
        offset_i[t] = size.patch_offset(i * patch_tile + t < patch ? i * patch_tile + t : 0);
        offset_j[t] = size.patch_offset(j * patch_tile + t < patch ? j * patch_tile + t : 0);
    }

    float sum[patch_tile] = {}, product[patch_tile][patch_tile] = {};
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int p = static_cast<int>(tile % tiles_per_clip) * tile_out_rows;
        const int rows = p + tile_out_rows < size.out_height ? tile_out_rows : size.out_height - p;
        __syncthreads(); // the previous tile has been read
        load_input_tile(input, x, size, tile / tiles_per_clip, p, (rows - 1) * size.stride + size.kernel);
        __syncthreads();
        if (!works) continue;
        for (int position = lane; position < rows * size.out_width; position += warp_lanes) {
            const float* at = input + position / size.out_width * size.stride * size.input_pitch() +
                              position % size.out_width * size.stride * size.channels;
            float b[patch_tile];
#pragma unroll
            for (int t = 0; t < patch_tile; ++t) b[t] = at[offset_j[t]];
#pragma unroll
            for (int t = 0; t < patch_tile; ++t) {
                const float a = at[offset_i[t]];
                sum[t] += a;
#pragma unroll
                for (int u = 0; u < patch_tile; ++u) product[t][u] = fmaf(a, b[u], product[t][u]);
            }
        }
    }
    if (!works) return;

    float* sums = partial + static_cast<int64_t>(blockIdx.x) * patch * (patch + 1);
    float* products = sums + patch;
#pragma unroll
    for (int t = 0; t < patch_tile; ++t) {
        const int a = i * patch_tile + t;
        const float total = warp_sum(sum[t]);
        if (i == j && lane == 0 && a < patch) sums[a] = total;
#pragma unroll
        for (int u = 0; u < patch_tile; ++u) {
            const int b = j * patch_tile + u;
            const float of_pair = warp_sum(product[t][u]);
            if (lane != 0 || a >= patch || b >= patch) continue;
            products[a * patch + b] = of_pair;
            if (i != j) products[b * patch + a] = of_pair;
        }
    }
}

/// From the raw moments [T*(T + 1)]: `moments` = m and C, by all threads; mean = w.m and variance = w.C w, by one warp
/// per output channel.
__global__ void __launch_bounds__(block_threads)
    output_moments(float* mean, float* variance, float* moments, const double* raw, const float* w, int patch,
                   int out_channels) {
    const double* products = raw + patch;
    for (int64_t i = thread_in_grid(); i < patch * (patch + 1); i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
        const int a = static_cast<int>(i) / patch - 1, b = static_cast<int>(i) % patch;
        moments[i] = static_cast<float>(a < 0 ? raw[b] : raw[i] - raw[a] * raw[b]);
    }
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int k = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / warp_lanes;
    if (k >= out_channels) return;
    const float* filter = w + k * patch;
    double of_mean = 0, of_variance = 0;
    for (int b = lane; b < patch; b += warp_lanes) {
        double column = 0;
        for (int a = 0; a < patch; ++a)
            column += static_cast<double>(filter[a]) * (products[a * patch + b] - raw[a] * raw[b]);
        of_mean += static_cast<double>(filter[b]) * raw[b];
        of_variance += static_cast<double>(filter[b]) * column;
    }
    of_mean = warp_sum(of_mean);
    of_variance = warp_sum(of_variance);
    if (lane != 0) return;
    mean[k] = static_cast<float>(of_mean);
    variance[k] = of_variance < 0 ? 0.0f : static_cast<float>(of_variance); // keeps a NaN: Adam must skip the step
}

int64_t moment_blocks(const StemSizes& size) {
    return std::min(size.clips * divide_up(size.out_height, tile_out_rows), 4 * multiprocessors);
}

/// Parts of the scratch, in elements: raw moments in double, then the partial sums in float.
struct StatisticsScratch {
    int64_t raw, partial;

    explicit StatisticsScratch(const StemSizes& size)
        : raw(raw_moments(size)), partial(moment_blocks(size) * raw_moments(size)) {}
    size_t bytes() const {
        return static_cast<size_t>(raw) * sizeof(double) + static_cast<size_t>(partial) * sizeof(float);
    }
};

} // namespace

size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>& op, const Planning&) {
    return StatisticsScratch(closed_form_sizes(op.shape)).bytes();
}

void run(const Conv2dBnStatistics<Tensor>& op, Context& cuda) {
    const Conv2dShape& shape = op.shape;
    const StemSizes size = closed_form_sizes(shape);
    const int64_t patch = size.patch(), blocks = moment_blocks(size);
    check_tensor(op.x, op.x.dtype, shape.x(), "x");
    float* mean = floats(op.mean, {shape.out_channels}, "mean");
    float* variance = floats(op.variance, {shape.out_channels}, "variance");
    float* moments = floats(op.moments, {1 + patch, patch}, "moments");
    const float* w = floats(op.w, shape.w(), "w");
    const StatisticsScratch parts(size);
    auto* raw = scratch_of<double>(op.scratch, parts.bytes());
    auto* partial = reinterpret_cast<float*>(raw + parts.raw);

    const int64_t tiles_per_clip = divide_up(size.out_height, tile_out_rows), tiles = size.clips * tiles_per_clip;
    const int64_t groups = size.patch_tiles(), pairs = groups * (groups + 1) / 2;
    const auto input_bytes = static_cast<size_t>(size.input_floats(tile_out_rows)) * sizeof(float);
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        launch(sum_moments<T>, dim3(static_cast<unsigned>(blocks), warp_blocks(pairs)), dim3(block_threads),
               input_bytes, cuda.stream, partial, static_cast<const T*>(op.x.data), size,
               static_cast<int>(tiles_per_clip), tiles);
    });
    const double positions = static_cast<double>(size.out_rows * size.out_width);
    launch_add_chunks<1>(FinishSums{raw, 1 / positions}, partial, 1, blocks, raw_moments(size), cuda.stream);
    launch(output_moments, dim3(warp_blocks(size.out_channels)), dim3(block_threads), 0, cuda.stream, mean, variance,
           moments, raw, w, static_cast<int>(patch), size.out_channels);
}

} // namespace scene::cuda
