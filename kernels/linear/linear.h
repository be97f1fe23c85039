#pragma once

// A linear layer with activation and dropout, y [M, O] from x [M, I] with w [O, I]. All operands are f32, except that
// LinearActivationBackward's are of the activation type.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// y = dropout(activation(x w^T + bias)); bias [O].
template <class T> struct LinearForward {
    static constexpr std::string_view name = "linear_forward";
    Out<T> y;
    In<T> x, w;
    OptionalIn<T> bias{};
    OptionalIn<T> control{}; ///< required if dropout.p > 0
    Activation activation = Activation::None;
    Dropout dropout{};
    Scratch<T> scratch{};

    double flops() const { return 2.0 * static_cast<double>(x.shape[0] * w.shape[0] * w.shape[1]); }
};

/// dpre [M, O] = the gradient of x w^T + bias, before activation and dropout, from dy and the output y of
/// LinearForward. May work in place: dpre may be dy. The derivative of relu at 0 is 0.
template <class T> struct LinearActivationBackward {
    static constexpr std::string_view name = "linear_activation_backward";
    Out<T> dpre;
    In<T> dy, y;
    OptionalIn<T> control{}; ///< required if dropout.p > 0
    Activation activation = Activation::None;
    Dropout dropout{};
    Scratch<T> scratch{};
};

/// The data gradient, dx [M, I] = dpre w + addend.
template <class T> struct LinearDataGrad {
    static constexpr std::string_view name = "linear_data_grad";
    Out<T> dx;
    In<T> dpre, w;
    OptionalIn<T> addend{}; ///< dx itself (+=), or absent (=)
    Scratch<T> scratch{};

    double flops() const { return 2.0 * static_cast<double>(dpre.shape[0] * w.shape[0] * w.shape[1]); }
};

/// The weight gradient, dw [O, I] = dpre^T x, and dbias [O] = the column sums of dpre.
template <class T> struct LinearWeightGrad {
    static constexpr std::string_view name = "linear_weight_grad";
    Out<T> dw;
    OptionalOut<T> dbias{};
    In<T> dpre, x;
    Scratch<T> scratch{};

    double flops() const { return 2.0 * static_cast<double>(x.shape[0] * dw.shape[0] * dw.shape[1]); }
};

namespace reference {
void run(const LinearForward<Tensor>&);
void run(const LinearActivationBackward<Tensor>&);
void run(const LinearDataGrad<Tensor>&);
void run(const LinearWeightGrad<Tensor>&);
} // namespace reference
namespace cpu {
void run(const LinearForward<Tensor>&, Context&);
void run(const LinearActivationBackward<Tensor>&, Context&);
void run(const LinearDataGrad<Tensor>&, Context&);
void run(const LinearWeightGrad<Tensor>&, Context&);
size_t scratch_bytes(const LinearForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const LinearActivationBackward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const LinearDataGrad<TensorSpec>&, const Planning&);
size_t scratch_bytes(const LinearWeightGrad<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const LinearForward<Tensor>&, Context&);
void run(const LinearActivationBackward<Tensor>&, Context&);
void run(const LinearDataGrad<Tensor>&, Context&);
void run(const LinearWeightGrad<Tensor>&, Context&);
size_t scratch_bytes(const LinearForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const LinearDataGrad<TensorSpec>&, const Planning&);
size_t scratch_bytes(const LinearWeightGrad<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
