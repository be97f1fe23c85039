// On CUDA cores, for float; 16-bit activations take tensor cores (stem_tensor_core.h) where their tiles fit.
//
// Forward: a block keeps all weights in shared memory and walks over tiles of the input. A thread's register tile is a
// vec4 of output channels at four positions. The data gradient is a GEMM and col2im (kernels/cuda/common/col2im.h), the
// weight gradient a split-K GEMM (kernels/cuda/common/im2col.h).

#include "kernels/conv2d/stem.h"

#include "kernels/conv2d/stem_tensor_core.h"
#include "kernels/cuda/common/col2im.h"
#include "kernels/cuda/common/column_sums.h"

namespace scene::cuda {
namespace {

// ---- forward ------------------------------------------------------------------------------------------------------

template <typename T> __global__ void __launch_bounds__(block_threads)
    convolve(T* y, const T* x, const T* w, const float* bias, bool relu, StemSizes size, int tiles_per_clip,
             int64_t tiles) {
    float* weights = dynamic_shared<float>();
    float* input = weights + size.patch() * size.padded_channels();
    const int pitch = size.input_pitch(), k_vec4s = size.padded_channels() / vec4, q_tiles = size.position_tiles();
    const int step = size.stride * size.channels, patch_row = size.kernel * size.channels;
    load_weights(weights, w, size);
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int64_t clip = tile / tiles_per_clip;
        const int p = static_cast<int>(tile % tiles_per_clip) * tile_out_rows;
        const int rows = p + tile_out_rows < size.out_height ? tile_out_rows : size.out_height - p;
        __syncthreads(); // the previous tile has been read
        load_input_tile(input, x, size, clip, p, (rows - 1) * size.stride + size.kernel);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < rows * q_tiles * k_vec4s; i += block_threads) {
            const int k = i % k_vec4s * vec4, q = i / k_vec4s % q_tiles * vec4, row = i / k_vec4s / q_tiles;
            float sum[vec4][vec4] = {}; // [position][channel]
            const float* element_weights = weights + k;
            for (int r = 0; r < size.kernel; ++r) {
                const float* from = input + (row * size.stride + r) * pitch + q * step;
                for (int t = 0; t < patch_row; ++t, element_weights += size.padded_channels()) {
                    float factor[vec4];
                    load(factor, element_weights);
#pragma unroll
                    for (int position = 0; position < vec4; ++position) {
                        const float value = from[position * step + t];
#pragma unroll
                        for (int channel = 0; channel < vec4; ++channel)
                            sum[position][channel] = fmaf(value, factor[channel], sum[position][channel]);
                    }
                }
            }
            for (int position = 0; position < vec4 && q + position < size.out_width; ++position) {
                T* to =
                    y + (((clip * size.out_height + p + row) * size.out_width) + q + position) * size.out_channels + k;
#pragma unroll
                for (int channel = 0; channel < vec4; ++channel) {
                    if (bias && k + channel < size.out_channels) sum[position][channel] += bias[k + channel];
                    if (relu) sum[position][channel] = rectified(sum[position][channel]);
                }
                if (size.out_channels % vec4 == 0) {
                    store(to, sum[position]);
                } else {
                    for (int channel = 0; channel < vec4 && k + channel < size.out_channels; ++channel)
                        to[channel] = from_float<T>(sum[position][channel]);
                }
            }
        }
    }
}

// ---- data gradient ------------------------------------------------------------------------------------------------

template <typename T> __global__ void __launch_bounds__(block_threads)
    data_gradient(T* dx, const T* dy, const T* w, StemSizes size, ChunkTiling tiling) {
    const int row_values = size.width * size.channels, patch = size.patch();
    const Chunk chunk(size, tiling);
    Col2im col2im(dynamic_shared<float>(), size, size.out_channels, chunk);
    const int pitch = col2im.pitch();
    for (int i = static_cast<int>(threadIdx.x); i < patch * pitch; i += block_threads) {
        const int element = i / pitch, k = i % pitch;
        col2im.weights[i] = k < size.out_channels ? to_float(w[k * patch + element]) : 0.0f;
    }
    const auto write = [&](int row, int column, float value) {
        dx[(chunk.clip * size.height + row) * row_values + column] = from_float<T>(value);
    };
    for (int p = chunk.halo_first; p < chunk.halo_end; ++p) {
        __syncthreads(); // the previous row has been added
        col2im.retire_before(p, write);
        const int64_t out_row = (chunk.clip * size.out_height + p) * size.out_width * size.out_channels;
        col2im.load_values([&](int q, int k, float(&values)[vec4]) {
            load_channels(values, dy + out_row + q * size.out_channels, k, size);
        });
        __syncthreads();
        col2im.add_row(p);
    }
    __syncthreads();
    col2im.retire_rest(write);
}

// ---- weight gradient ----------------------------------------------------------------------------------------------

/// partial [blocks, K*T] = the weight gradient of this block's output rows.
template <typename T> __global__ void __launch_bounds__(block_threads)
    weight_gradient(float* partial, const T* dy, const T* x, StemSizes size) {
    const int k_pitch = size.padded_channels();
    float* input = dynamic_shared<float>();         // [kernel][input_pitch]
    float* gradient = input + size.input_floats(1); // [Q][k_pitch]
    WgradTile sums(size, size.patch());
    for (int64_t row = blockIdx.x; row < size.out_rows; row += gridDim.x) {
        __syncthreads(); // the previous row has been read
        load_input_tile(input, x, size, row / size.out_height, static_cast<int>(row % size.out_height), size.kernel);
        const T* from = dy + row * size.out_width * size.out_channels;
        for (int i = static_cast<int>(threadIdx.x); i < size.out_width * k_pitch; i += block_threads) {
            const int of_k = i % k_pitch;
            gradient[i] = of_k < size.out_channels ? to_float(from[i / k_pitch * size.out_channels + of_k]) : 0.0f;
        }
        __syncthreads();
        sums.add_row(gradient, k_pitch, input, size);
    }
    sums.store(partial + static_cast<int64_t>(blockIdx.x) * size.out_channels * size.patch(), dynamic_shared<float>(),
               size);
}

struct FinishWeights {
    float* dw;
    __device__ void operator()(int, int i, const double (&sum)[1]) const { dw[i] = static_cast<float>(sum[0]); }
};

// ---- host ---------------------------------------------------------------------------------------------------------

size_t weight_gradient_shared_bytes(const StemSizes& size) {
    const int rows = size.input_floats(1) + size.out_width * size.padded_channels();
    return static_cast<size_t>(std::max(rows, WgradTiling(size, size.patch()).split_floats())) * sizeof(float);
}

size_t forward_shared_bytes(const StemSizes& size) {
    const int weights = size.patch() * size.padded_channels();
    return static_cast<size_t>(weights + size.input_floats(tile_out_rows)) * sizeof(float);
}

int64_t weight_gradient_blocks(const Conv2dShape& shape) {
    return std::min(shape.batch * shape.out_height(), 2 * multiprocessors);
}

bool on_tensor_cores(DType dtype, const Conv2dShape& shape) {
    return is_half_width(dtype) && stem_suits_tensor_cores(shape);
}

StemSizes sizes_of(const Conv2dShape& shape) {
    SCENE_CHECK(conv2d_stem_suits(shape),
                "x " + shape.x().text() + " with w " + shape.w().text() + " is no small-channel convolution");
    return StemSizes(shape);
}

} // namespace

bool conv2d_stem_suits(const Conv2dShape& shape, const DeviceLimits& limits) {
    const bool small = shape.batch > 0 && shape.in_channels >= 1 && shape.in_channels <= most_in_channels &&
                       shape.kernel >= 1 && shape.kernel <= 7 && shape.stride >= 1 && shape.stride <= 2 &&
                       shape.padding >= 0 && shape.width <= 256 && shape.out_channels >= 1 &&
                       shape.out_channels <= 256 && shape.out_height() > 0 && shape.out_width() > 0;
    if (!small) return false;
    const StemSizes size(shape);
    return std::max({forward_shared_bytes(size), weight_gradient_shared_bytes(size),
                     col2im_bytes(size, size.out_channels)}) <= limits.block_shared_bytes;
}

void conv2d_stem_forward(Tensor y, Tensor x, Tensor w, Tensor bias, bool relu, const Conv2dShape& shape,
                         cudaStream_t stream) {
    const StemSizes size = sizes_of(shape);
    check_tensor(y, x.dtype, shape.y(), "y");
    check_tensor(x, x.dtype, shape.x(), "x");
    check_tensor(w, x.dtype, shape.w(), "w");
    const float* add = optional_floats(bias, {shape.out_channels}, "bias");
    SCENE_CHECK(!relu || add, "relu without bias");
    SCENE_CHECK(reinterpret_cast<uintptr_t>(y.data) % 16 == 0, "y is not aligned to 16 bytes");
    if (on_tensor_cores(x.dtype, shape)) return stem_forward_on_tensor_cores(y, x, w, add, relu, shape, stream);
    const int64_t tiles_per_clip = divide_up(size.out_height, tile_out_rows), tiles = shape.batch * tiles_per_clip;
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        launch(convolve<T>, dim3(static_cast<unsigned>(std::min(tiles, 4 * multiprocessors))), dim3(block_threads),
               forward_shared_bytes(size), stream, static_cast<T*>(y.data), static_cast<const T*>(x.data),
               static_cast<const T*>(w.data), add, relu, size, static_cast<int>(tiles_per_clip), tiles);
    });
}

void conv2d_stem_data_grad(Tensor dx, Tensor dy, Tensor w, const Conv2dShape& shape, cudaStream_t stream) {
    const StemSizes size = sizes_of(shape);
    check_tensor(dx, dy.dtype, shape.x(), "dx");
    check_tensor(dy, dy.dtype, shape.y(), "dy");
    check_tensor(w, dy.dtype, shape.w(), "w");
    SCENE_CHECK(reinterpret_cast<uintptr_t>(dy.data) % 16 == 0, "dy is not aligned to 16 bytes");
    if (on_tensor_cores(dy.dtype, shape))
        return stem_gradients_on_tensor_cores({.dy = dy, .dx = dx, .w = w}, shape, stream);
    const ChunkTiling tiling(size);
    with_activation_type(dy, [&](auto type) {
        using T = decltype(type);
        launch(data_gradient<T>, dim3(static_cast<unsigned>(tiling.chunks(size))), dim3(block_threads),
               col2im_bytes(size, size.out_channels), stream, static_cast<T*>(dx.data), static_cast<const T*>(dy.data),
               static_cast<const T*>(w.data), size, tiling);
    });
}

size_t conv2d_stem_weight_grad_scratch_bytes(const Conv2dShape& shape) {
    const StemSizes size(shape);
    const int64_t blocks = std::max(weight_gradient_blocks(shape), ChunkTiling(size).chunks(size));
    return static_cast<size_t>(blocks * shape.w().elements()) * sizeof(float);
}

void conv2d_stem_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                             cudaStream_t stream) {
    const StemSizes size = sizes_of(shape);
    check_tensor(dy, x.dtype, shape.y(), "dy");
    check_tensor(x, x.dtype, shape.x(), "x");
    const FinishWeights finish{floats(dw, shape.w(), "dw")};
    auto* partial = scratch_of<float>(scratch, conv2d_stem_weight_grad_scratch_bytes(shape));
    if (on_tensor_cores(x.dtype, shape)) {
        SCENE_CHECK(reinterpret_cast<uintptr_t>(dy.data) % 16 == 0, "dy is not aligned to 16 bytes");
        stem_gradients_on_tensor_cores({.dy = dy, .partial = partial, .x = x}, shape, stream);
        return launch_add_chunks<1>(finish, partial, 1, ChunkTiling(size).chunks(size), shape.w().elements(), stream);
    }
    const int64_t blocks = weight_gradient_blocks(shape);
    const dim3 grid(static_cast<unsigned>(blocks), WgradTiling(size, size.patch()).blocks());
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        launch(weight_gradient<T>, grid, dim3(block_threads), weight_gradient_shared_bytes(size), stream, partial,
               static_cast<const T*>(dy.data), static_cast<const T*>(x.data), size);
    });
    launch_add_chunks<1>(finish, partial, 1, blocks, shape.w().elements(), stream);
}

} // namespace scene::cuda
