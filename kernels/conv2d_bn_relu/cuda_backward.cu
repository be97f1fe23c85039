#include "kernels/conv2d/stem.h"
#include "kernels/conv2d/stem_tensor_core.h"
#include "kernels/conv2d_bn_relu/cuda_shared.h"
#include "kernels/cuda/common/col2im.h"

namespace scene::cuda {
namespace {

template <typename T> struct BackwardOperands {
    const T *da, *a, *x; ///< dz = da where a > 0
    const float *w, *scale;
    float* partial; ///< [chunks, K, T + 1]: sums of dz*patch and of dz
    float* dx_sum;  ///< [N, H, W, C]: the data gradient of scale*dz; null if dx is not wanted
};

/// One pass over da: this block's sums, and the data gradient of scale*dz, without the terms of mean(dz) and xhat.
template <typename T> __global__ void __launch_bounds__(block_threads)
    sum_gradients(BackwardOperands<T> op, StemSizes size, ChunkTiling tiling) {
    const int patch = size.patch(), out_channels = size.out_channels, row_values = size.width * size.channels;
    const Chunk chunk(size, tiling);
    const bool wants_dx = op.dx_sum && blockIdx.y == 0;
    float* input = dynamic_shared<float>();
    Col2im col2im(input + size.input_floats(1) + vec4, size, out_channels, chunk);
    const int pitch = col2im.pitch();
    if (wants_dx) {
        for (int i = static_cast<int>(threadIdx.x); i < patch * pitch; i += block_threads) {
            const int element = i / pitch, k = i % pitch;
            col2im.weights[i] = k < out_channels ? op.scale[k] * op.w[k * patch + element] : 0.0f;
        }
    }
    const auto write = [&](int row, int column, float value) {
        op.dx_sum[(chunk.clip * size.height + row) * row_values + column] = value;
    };

    WgradTile sums(size, patch + 1);
    if (threadIdx.x == 0) input[size.input_floats(1)] = 1;
    const int end = wants_dx ? chunk.halo_end : chunk.end_out;
    for (int p = wants_dx ? chunk.halo_first : chunk.first_out; p < end; ++p) {
        __syncthreads(); // the previous row has been read and added
        if (wants_dx) col2im.retire_before(p, write);
        load_input_tile(input, op.x, size, chunk.clip, p, size.kernel);
        const int64_t out_row = (chunk.clip * size.out_height + p) * size.out_width * out_channels;
        col2im.load_values([&](int q, int k, float(&values)[vec4]) {
            float a[vec4];
            load_channels(values, op.da + out_row + q * out_channels, k, size);
            load_channels(a, op.a + out_row + q * out_channels, k, size);
#pragma unroll
            for (int v = 0; v < vec4; ++v) values[v] = a[v] > 0 ? values[v] : 0.0f;
        });
        __syncthreads();
        if (p >= chunk.first_out && p < chunk.end_out) sums.add_row(col2im.values, pitch, input, size);
        if (wants_dx) col2im.add_row(p);
    }
    __syncthreads();
    if (wants_dx) col2im.retire_rest(write);
    sums.store(op.partial + static_cast<int64_t>(blockIdx.x) * out_channels * (patch + 1), dynamic_shared<float>(),
               size);
}

/// The gradients of the parameters, and what they are computed from.
struct Gradients {
    float *dw, *dgamma, *dbeta;
    const double* sums; ///< [K, T + 1]: sums of dz*patch and of dz
    const float *w, *moments, *mean, *inv_std, *scale;
    int patch, out_channels;

    /// S[k, element], the sum of dz*(patch - m).
    __device__ double centred(int k, int element) const {
        const double* of_channel = sums + k * (patch + 1);
        return of_channel[element] - of_channel[patch] * static_cast<double>(moments[element]);
    }
};

/// One warp per output channel: dbeta, dgamma and dw by the equations of the contract.
__global__ void __launch_bounds__(block_threads) channel_gradients(Gradients g) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int k = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / warp_lanes;
    if (k >= g.out_channels) return;
    const float* filter = g.w + k * g.patch;
    double projected = 0;
    for (int a = lane; a < g.patch; a += warp_lanes) projected += static_cast<double>(filter[a]) * g.centred(k, a);
    projected = warp_sum(projected);
    const double inv_std = static_cast<double>(g.inv_std[k]), scale = static_cast<double>(g.scale[k]);
    const double dgamma = inv_std * projected;
    if (lane == 0) {
        g.dgamma[k] = static_cast<float>(dgamma);
        g.dbeta[k] = static_cast<float>(g.sums[k * (g.patch + 1) + g.patch]);
    }
    for (int a = lane; a < g.patch; a += warp_lanes) {
        const float* covariance = g.moments + (1 + a) * g.patch;
        double product = 0;
        for (int b = 0; b < g.patch; ++b)
            product += static_cast<double>(covariance[b]) * static_cast<double>(filter[b]);
        g.dw[k * g.patch + a] = static_cast<float>(scale * (g.centred(k, a) - dgamma * inv_std * product));
    }
}

/// weights [T, pitch] of the correction, zeros beyond T + 1 columns. The terms of mean(dz) and xhat in dy are linear in
/// y, and so in the patch: what they subtract from a patch's gradient is weights*(patch, 1).
__global__ void __launch_bounds__(block_threads)
    correction_weights(float* weights, Gradients g, int pitch, double inverse_rows) {
    const int64_t i = thread_in_grid();
    if (i >= static_cast<int64_t>(g.patch) * pitch) return;
    const int a = static_cast<int>(i) / pitch, b = static_cast<int>(i) % pitch;
    double sum = 0;
    for (int k = 0; k < g.out_channels && b <= g.patch; ++k) {
        const double inv_std = static_cast<double>(g.inv_std[k]), slope = inv_std * static_cast<double>(g.dgamma[k]);
        const double of_b = b < g.patch ? slope * static_cast<double>(g.w[k * g.patch + b])
                                        : static_cast<double>(g.dbeta[k]) - slope * static_cast<double>(g.mean[k]);
        sum += static_cast<double>(g.scale[k]) * static_cast<double>(g.w[k * g.patch + a]) * of_b;
    }
    weights[i] = static_cast<float>(sum * inverse_rows);
}

/// dx = dx_sum - the correction: the transposed convolution (GEMM and col2im) of (patch, 1) with its weights.
template <typename T> __global__ void __launch_bounds__(block_threads)
    correct_gradient(T* dx, const float* dx_sum, const T* x, const float* correction, StemSizes size,
                     ChunkTiling tiling) {
    const int patch = size.patch(), row_values = size.width * size.channels;
    const Chunk chunk(size, tiling);
    float* input = dynamic_shared<float>();
    Col2im col2im(input + size.input_floats(1) + vec4, size, patch + 1, chunk);
    const int pitch = col2im.pitch();
    for (int i = static_cast<int>(threadIdx.x); i < patch * pitch; i += block_threads)
        col2im.weights[i] = correction[i];
    const auto write = [&](int row, int column, float value) {
        const int64_t at = (chunk.clip * size.height + row) * row_values + column;
        dx[at] = from_float<T>(dx_sum[at] - value);
    };
    for (int p = chunk.halo_first; p < chunk.halo_end; ++p) {
        __syncthreads(); // the previous row has been added
        col2im.retire_before(p, write);
        load_input_tile(input, x, size, chunk.clip, p, size.kernel);
        __syncthreads();
        col2im.load_values([&](int q, int first_element, float(&values)[vec4]) {
#pragma unroll
            for (int v = 0; v < vec4; ++v) {
                const int element = first_element + v;
                values[v] = element == patch ? 1.0f : 0.0f;
                if (element < patch) values[v] = input[size.patch_offset(element) + q * size.stride * size.channels];
            }
        });
        __syncthreads();
        col2im.add_row(p);
    }
    __syncthreads();
    col2im.retire_rest(write);
}

// ---- host ---------------------------------------------------------------------------------------------------------

size_t gradient_shared_bytes(const StemSizes& size) {
    const int splits = WgradTiling(size, size.patch() + 1).split_floats();
    return std::max(col2im_bytes(size, size.out_channels), static_cast<size_t>(splits) * sizeof(float));
}

/// Parts of the scratch, in elements: sums in double, then the rest in float.
struct BackwardScratch {
    int64_t sums, partial, correction, dx_sum;

    BackwardScratch(const StemSizes& size, bool wants_dx) {
        sums = static_cast<int64_t>(size.out_channels) * (size.patch() + 1);
        partial = ChunkTiling(size).chunks(size) * sums;
        correction = wants_dx ? Col2imLayout(size, size.patch() + 1).weight_floats(size) : 0;
        dx_sum = wants_dx ? size.clips * size.height * size.width * size.channels : 0;
    }
    size_t bytes() const {
        return static_cast<size_t>(sums) * sizeof(double) +
               static_cast<size_t>(partial + correction + dx_sum) * sizeof(float);
    }
};

bool on_tensor_cores(DType dtype, const Conv2dShape& shape) {
    return is_half_width(dtype) && stem_suits_tensor_cores(shape) && correction_suits_tensor_cores(StemSizes(shape));
}

} // namespace

bool conv2d_bn_relu_suits(const Conv2dShape& shape, const DeviceLimits& limits) {
    if (!conv2d_stem_suits(shape, limits) || shape.padding >= shape.kernel) return false;
    const StemSizes size(shape);
    return std::max(gradient_shared_bytes(size), col2im_bytes(size, size.patch() + 1)) <= limits.block_shared_bytes;
}

size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>& op, const Planning&) {
    return BackwardScratch(closed_form_sizes(op.shape), static_cast<bool>(op.dx)).bytes();
}

void run(const Conv2dBnReluBackward<Tensor>& op, Context& cuda) {
    const Conv2dShape& shape = op.shape;
    const StemSizes size = closed_form_sizes(shape);
    const int patch = size.patch();
    const Shape per_channel{shape.out_channels};
    check_tensor(op.da, op.x.dtype, shape.y(), "da");
    check_tensor(op.a, op.x.dtype, shape.y(), "a");
    check_tensor(op.x, op.x.dtype, shape.x(), "x");
    for (const void* address : {op.da.data, op.a.data})
        SCENE_CHECK(reinterpret_cast<uintptr_t>(address) % 16 == 0, "da or a is not aligned to 16 bytes");
    if (op.dx) check_tensor(op.dx, op.x.dtype, shape.x(), "dx");
    const BackwardScratch parts(size, static_cast<bool>(op.dx));
    auto* sums = scratch_of<double>(op.scratch, parts.bytes());
    auto* partial = reinterpret_cast<float*>(sums + parts.sums);
    float* correction = partial + parts.partial;
    float* dx_sum = op.dx ? correction + parts.correction : nullptr;
    const Gradients gradients{.dw = floats(op.dw, shape.w(), "dw"),
                              .dgamma = floats(op.dgamma, per_channel, "dgamma"),
                              .dbeta = floats(op.dbeta, per_channel, "dbeta"),
                              .sums = sums,
                              .w = floats(op.w, shape.w(), "w"),
                              .moments = floats(op.moments, {1 + patch, patch}, "moments"),
                              .mean = floats(op.mean, per_channel, "mean"),
                              .inv_std = floats(op.inv_std, per_channel, "inv_std"),
                              .scale = floats(op.scale, per_channel, "scale"),
                              .patch = patch,
                              .out_channels = size.out_channels};
    const ChunkTiling tiling(size);
    const auto chunks = static_cast<unsigned>(tiling.chunks(size));
    const bool tensor_cores = on_tensor_cores(op.x.dtype, shape);
    if (tensor_cores) {
        StemGradients pass{.dy = op.da, .a = op.a, .partial = partial, .with_sum = true, .x = op.x};
        if (op.dx) {
            pass.dx = {dx_sum, DType::F32, shape.x()};
            pass.w = op.w;
            pass.scale = gradients.scale;
        }
        stem_gradients_on_tensor_cores(pass, shape, cuda.stream);
    } else {
        with_activation_type(op.x, [&](auto type) {
            using T = decltype(type);
            const BackwardOperands<T> operands{.da = static_cast<const T*>(op.da.data),
                                               .a = static_cast<const T*>(op.a.data),
                                               .x = static_cast<const T*>(op.x.data),
                                               .w = gradients.w,
                                               .scale = gradients.scale,
                                               .partial = partial,
                                               .dx_sum = dx_sum};
            launch(sum_gradients<T>, dim3(chunks, WgradTiling(size, patch + 1).blocks()), dim3(block_threads),
                   gradient_shared_bytes(size), cuda.stream, operands, size, tiling);
        });
    }
    launch_add_chunks<1>(FinishSums{sums, 1}, partial, 1, chunks, parts.sums, cuda.stream);
    launch(channel_gradients, dim3(warp_blocks(size.out_channels)), dim3(block_threads), 0, cuda.stream, gradients);
    if (!op.dx) return;
    const int pitch = Col2imLayout(size, patch + 1).pitch;
    launch(correction_weights, blocks_over(parts.correction), dim3(block_threads), 0, cuda.stream, correction,
           gradients, pitch, 1.0 / static_cast<double>(size.out_rows * size.out_width));
    if (tensor_cores)
        return correct_gradient_on_tensor_cores(op.dx, dx_sum, op.x, correction, pitch, size, cuda.stream);
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        launch(correct_gradient<T>, dim3(chunks), dim3(block_threads), col2im_bytes(size, patch + 1), cuda.stream,
               static_cast<T*>(op.dx.data), static_cast<const float*>(dx_sum), static_cast<const T*>(op.x.data),
               static_cast<const float*>(correction), size, tiling);
    });
}

} // namespace scene::cuda
