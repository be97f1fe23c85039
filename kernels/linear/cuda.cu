// The matrix products are the library's (kernels/cuda/gemm.h); bias, activation and dropout follow in one pass over y.

#include "kernels/linear/linear.h"

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/epilogue.h"
#include "kernels/cuda/gemm.h"

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

/// [M, O], [M, I] and [O, I] of a linear layer.
struct Extents {
    int64_t rows, in, out;

    Extents(const Tensor& w, const Tensor& rows_of) : rows(0), in(0), out(0) {
        SCENE_CHECK(w && w.shape.rank() == 2 && rows_of && rows_of.shape.rank() == 2, "a linear layer has matrices");
        rows = rows_of.shape[0];
        in = w.shape[1];
        out = w.shape[0];
    }
    Shape x() const { return {rows, in}; }
    Shape y() const { return {rows, out}; }
    Shape w() const { return {out, in}; }
};

size_t bias_sum_bytes(const Shape& dpre) { return column_sum_bytes(1, dpre[0], dpre[1], 1); }

/// dbias [O] = column sums of dpre [M, O].
void sum_columns(Tensor dbias, Tensor dpre, void* partial, cudaStream_t stream) {
    const int64_t rows = dpre.shape[0], channels = dpre.shape[1];
    const FinishColumns finish{floats(dbias, {channels}, "dbias")};
    const auto* from = static_cast<const float*>(dpre.data);
    with_pack_width<float>(channels, {from}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        const ColumnTerms<float, V> terms{from, static_cast<int>(channels), 0};
        launch_column_sums<V, 1>(finish, terms, static_cast<float*>(partial), 1, rows, channels, stream);
    });
}

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

size_t scratch_bytes(const LinearForward<TensorSpec>&, const Planning&) { return gemm_workspace_bytes; }

void run(const LinearForward<Tensor>& op, Context& cuda) {
    const Extents size(op.w, op.x);
    const GemmShape shape{.m = size.rows, .n = size.out, .k = size.in, .transpose_b = true};
    cuda.gemm->multiply(shape, floats(op.y, size.y(), "y"), floats(op.x, size.x(), "x"), floats(op.w, size.w(), "w"),
                        scratch_of<void>(op.scratch, gemm_workspace_bytes), cuda.stream);
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

size_t scratch_bytes(const LinearDataGrad<TensorSpec>&, const Planning&) { return gemm_workspace_bytes; }

void run(const LinearDataGrad<Tensor>& op, Context& cuda) {
    const Extents size(op.w, op.dpre);
    SCENE_CHECK(!op.addend || op.addend.data == op.dx.data, "the addend is dx itself");
    const GemmShape shape{.m = size.rows, .n = size.in, .k = size.out, .accumulate = static_cast<bool>(op.addend)};
    cuda.gemm->multiply(shape, floats(op.dx, size.x(), "dx"), floats(op.dpre, size.y(), "dpre"),
                        floats(op.w, size.w(), "w"), scratch_of<void>(op.scratch, gemm_workspace_bytes), cuda.stream);
}

/// The column sums come after the product, in the same memory.
size_t scratch_bytes(const LinearWeightGrad<TensorSpec>& op, const Planning&) {
    return std::max(gemm_workspace_bytes, bias_sum_bytes(op.dpre.shape));
}

void run(const LinearWeightGrad<Tensor>& op, Context& cuda) {
    const Extents size(op.dw, op.dpre);
    const GemmShape shape{.m = size.out, .n = size.in, .k = size.rows, .transpose_a = true};
    void* memory = scratch_of<void>(op.scratch, std::max(gemm_workspace_bytes, bias_sum_bytes(size.y())));
    cuda.gemm->multiply(shape, floats(op.dw, size.w(), "dw"), floats(op.dpre, size.y(), "dpre"),
                        floats(op.x, size.x(), "x"), memory, cuda.stream);
    if (op.dbias) sum_columns(op.dbias, op.dpre, memory, cuda.stream);
}

} // namespace scene::cuda
