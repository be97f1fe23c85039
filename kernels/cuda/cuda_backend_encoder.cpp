// Tokens, the encoder and the fusion head.

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/operands.h"

namespace scene::cuda {
namespace {

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

} // namespace

void CudaBackend::linear_forward(Tensor y, Tensor x, Tensor w, Tensor bias, Activation activation, Dropout dropout,
                                 Tensor control) {
    const Extents size(w, x);
    const Product product{.rows = size.rows, .columns = size.out, .terms = size.in, .transpose_b = true};
    products_->multiply(product, floats(y, size.y(), "y"), floats(x, size.x(), "x"), floats(w, size.w(), "w"),
                        scratch(products_->scratch_bytes()).data, stream_);
    if (bias || activation != Activation::None || dropout.p > 0)
        linear_epilogue(y, bias, activation, dropout, control, stream_);
}

void CudaBackend::linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                             Tensor control) {
    cuda::linear_activation_backward(dpre, dy, y, activation, dropout, control, stream_);
}

void CudaBackend::linear_data_grad(Tensor dx, Tensor dpre, Tensor w, bool accumulate) {
    const Extents size(w, dpre);
    const Product product{.rows = size.rows, .columns = size.in, .terms = size.out, .accumulate = accumulate};
    products_->multiply(product, floats(dx, size.x(), "dx"), floats(dpre, size.y(), "dpre"), floats(w, size.w(), "w"),
                        scratch(products_->scratch_bytes()).data, stream_);
}

void CudaBackend::linear_weight_grad(Tensor dw, Tensor dbias, Tensor dpre, Tensor x) {
    const Extents size(dw, dpre);
    const Product product{.rows = size.out, .columns = size.in, .terms = size.rows, .transpose_a = true};
    products_->multiply(product, floats(dw, size.w(), "dw"), floats(dpre, size.y(), "dpre"), floats(x, size.x(), "x"),
                        scratch(products_->scratch_bytes()).data, stream_);
    if (dbias) linear_bias_grad(dbias, dpre, scratch(linear_bias_grad_scratch_bytes(dpre.shape)), stream_);
}

void CudaBackend::attention_forward(Tensor out, Tensor qkv, int heads, Dropout dropout, Tensor control) {
    cuda::attention_forward(out, qkv, heads, dropout, control, stream_);
}

void CudaBackend::attention_backward(Tensor dqkv, Tensor dout, Tensor qkv, int heads, Dropout dropout, Tensor control) {
    cuda::attention_backward(dqkv, dout, qkv, heads, dropout, control, stream_);
}

} // namespace scene::cuda
