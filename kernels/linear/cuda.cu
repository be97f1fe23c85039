// GEMMs by the library (kernels/cuda/gemm.h), the rest by our own kernels.

#include "kernels/linear/linear.h"

#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/common/linear_epilogue.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/gemm.h"
#include "kernels/linear/extents.h"

namespace scene::cuda {
namespace {

/// The derivative of the activation, as a function of its output.
__device__ float slope(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return 1;
    case Activation::Relu: return value > 0 ? 1.0f : 0.0f;
    case Activation::Sigmoid: return value * (1 - value);
    }
    return 1;
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

/// The terms of the column sums of x (kernels/cuda/common/column_sums.h).
template <int V> struct ColumnTerms {
    const float* x;
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

void multiply(const Product& product, const Tensor& c, const Tensor& a, const Tensor& b, const Tensor& scratch,
              Context& cuda) {
    auto* workspace = scratch_of<std::byte>(scratch, cuda.gemm->workspace_bytes());
    cuda.gemm->multiply(product, c.data, a.data, b.data, workspace, cuda.stream);
}

} // namespace

size_t scratch_bytes(const LinearForward<TensorSpec>&, const Planning& planning) {
    return planning.gemm_workspace_bytes;
}

void run(const LinearForward<Tensor>& op, Context& cuda) {
    const LinearExtents e = checked_extents(op);
    multiply({.rows = e.rows, .columns = e.out, .k = e.in, .transpose_b = true}, op.y, op.x, op.w, op.scratch, cuda);
    if (op.bias || op.activation != Activation::None || op.dropout.p > 0)
        linear_epilogue(op.y, op.bias, op.activation, op.dropout, op.control, cuda.stream);
}

void run(const LinearActivationBackward<Tensor>& op, Context& cuda) {
    const Tensor& y = op.y;
    check_rank(y, 2, "y");
    check_tensor(op.dpre, y.dtype, y.shape, "dpre");
    check_tensor(op.dy, y.dtype, y.shape, "dy");
    const DropoutMask mask = mask_of(op.dropout, op.control);
    with_activation_type(y, [&](auto type) {
        using T = decltype(type);
        with_pack_width<T>(y.elements(), {op.dpre.data, op.dy.data, y.data}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            launch(activation_backward<T, V>, blocks_over(divide_up(y.elements(), V)), dim3(block_threads), 0,
                   cuda.stream, static_cast<T*>(op.dpre.data), static_cast<const T*>(op.dy.data),
                   static_cast<const T*>(y.data), y.elements(), op.activation, 1 - op.dropout.p, mask);
        });
    });
}

size_t scratch_bytes(const LinearDataGrad<TensorSpec>&, const Planning& planning) {
    return planning.gemm_workspace_bytes;
}

void run(const LinearDataGrad<Tensor>& op, Context& cuda) {
    const LinearExtents e = checked_extents(op);
    multiply({.rows = e.rows, .columns = e.in, .k = e.out, .accumulate = static_cast<bool>(op.addend)}, op.dx, op.dpre,
             op.w, op.scratch, cuda);
}

/// The GEMM's workspace, reused for the partial sums of the bias gradient, which is queued behind the GEMM.
size_t scratch_bytes(const LinearWeightGrad<TensorSpec>& op, const Planning& planning) {
    const size_t sums = op.dbias ? column_sum_bytes(1, op.dpre.shape[0], op.dpre.shape[1], 1) : 0;
    return std::max(planning.gemm_workspace_bytes, sums);
}

void run(const LinearWeightGrad<Tensor>& op, Context& cuda) {
    const LinearExtents e = checked_extents(op);
    multiply({.rows = e.out, .columns = e.in, .k = e.rows, .transpose_a = true}, op.dw, op.dpre, op.x, op.scratch,
             cuda);
    if (!op.dbias) return;
    const FinishColumns finish{op.dbias.as<float>()};
    auto* partial = scratch_of<float>(op.scratch, column_sum_bytes(1, e.rows, e.out, 1));
    with_pack_width<float>(e.out, {op.dpre.data}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        const ColumnTerms<V> terms{op.dpre.as<float>(), static_cast<int>(e.out), 0};
        launch_column_sums<V, 1>(finish, terms, partial, 1, e.rows, e.out, cuda.stream);
    });
}

} // namespace scene::cuda
