#include "kernels/cuda/common/linear_epilogue.h"

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/launch.h"

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

} // namespace

void linear_epilogue(const Tensor& y, const Tensor& bias, Activation activation, const Dropout& dropout,
                     const Tensor& control, cudaStream_t stream) {
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

} // namespace scene::cuda
