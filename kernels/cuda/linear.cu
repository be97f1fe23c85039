// What a linear layer does besides its matrix products.

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/kernels.h"

namespace scene::cuda {
namespace {

__device__ float activate(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return value;
    case Activation::Relu: return rectified(value);
    case Activation::Sigmoid: return 1 / (1 + expf(-value));
    }
    return value;
}

/// The derivative of the activation, from its value.
__device__ float slope(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return 1;
    case Activation::Relu: return value > 0 ? 1.0f : 0.0f;
    case Activation::Sigmoid: return value * (1 - value);
    }
    return 1;
}

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    add_and_activate(T* y, const float* bias, int64_t count, int columns, Activation activation, DropoutMask mask) {
    const int64_t i = thread_in_grid() * V;
    if (i >= count) return;
    mask.read_control();
    float value[V], add[V] = {}, factor[V];
    load(value, y + i);
    if (bias) load(add, bias + i % columns);
    mask.factors(factor, i);
#pragma unroll
    for (int v = 0; v < V; ++v) value[v] = activate(value[v] + add[v], activation) * factor[v];
    store(y + i, value);
}

template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    activation_backward(T* dpre, const T* dy, const T* y, int64_t count, Activation activation, float kept,
                        DropoutMask mask) {
    const int64_t i = thread_in_grid() * V;
    if (i >= count) return;
    mask.read_control();
    float gradient[V], output[V], factor[V];
    load(gradient, dy + i);
    load(output, y + i);
    mask.factors(factor, i);
#pragma unroll
    for (int v = 0; v < V; ++v) gradient[v] *= factor[v] * slope(output[v] * kept, activation);
    store(dpre + i, gradient);
}

template <typename T, int V> struct ColumnTerms {
    const T* x;
    int channels, channel;

    __device__ void start(int, int first_channel) { channel = first_channel; }
    __device__ void add(float (&sum)[1][V], int64_t row) {
        float value[V];
        load(value, x + row * channels + channel);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[0][v] += value[v];
    }
};

struct FinishColumns {
    float* out;
    __device__ void operator()(int, int c, const double (&sum)[1]) const { out[c] = static_cast<float>(sum[0]); }
};

} // namespace

void linear_epilogue(Tensor y, Tensor bias, Activation activation, Dropout dropout, Tensor control,
                     cudaStream_t stream) {
    check_rank(y, 2, "y");
    const int64_t columns = y.shape[1];
    const float* add = optional_floats(bias, {columns}, "bias");
    const DropoutMask mask = mask_of(dropout, control);
    with_activation_type(y, [&](auto type) {
        using T = decltype(type);
        with_pack_width<T>(columns, {y.data, add}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch(add_and_activate<T, V>, blocks_over(divide_up(y.elements(), V)), dim3(block_threads), 0, stream,
                   static_cast<T*>(y.data), add, y.elements(), static_cast<int>(columns), activation, mask);
        });
    });
}

void linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                Tensor control, cudaStream_t stream) {
    check_rank(y, 2, "y");
    check_tensor(dpre, y.dtype, y.shape, "dpre");
    check_tensor(dy, y.dtype, y.shape, "dy");
    const DropoutMask mask = mask_of(dropout, control);
    with_activation_type(y, [&](auto type) {
        using T = decltype(type);
        with_pack_width<T>(y.elements(), {dpre.data, dy.data, y.data}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch(activation_backward<T, V>, blocks_over(divide_up(y.elements(), V)), dim3(block_threads), 0, stream,
                   static_cast<T*>(dpre.data), static_cast<const T*>(dy.data), static_cast<const T*>(y.data),
                   y.elements(), activation, 1 - dropout.p, mask);
        });
    });
}

size_t linear_bias_grad_scratch_bytes(const Shape& dpre) { return column_sum_bytes(1, dpre[0], dpre[1], 1); }

void linear_bias_grad(Tensor dbias, Tensor dpre, Tensor scratch, cudaStream_t stream) {
    check_rank(dpre, 2, "dpre");
    const int64_t rows = dpre.shape[0], channels = dpre.shape[1];
    const FinishColumns finish{floats(dbias, {channels}, "dbias")};
    auto* partial = scratch_of<float>(scratch, linear_bias_grad_scratch_bytes(dpre.shape));
    with_activation_type(dpre, [&](auto type) {
        using T = decltype(type);
        with_pack_width<T>(channels, {dpre.data}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const ColumnTerms<T, V> terms{static_cast<const T*>(dpre.data), static_cast<int>(channels), 0};
            launch_column_sums<V, 1>(finish, terms, partial, 1, rows, channels, stream);
        });
    });
}

} // namespace scene::cuda
