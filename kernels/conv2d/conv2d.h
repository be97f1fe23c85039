#pragma once

// 2-d cross-correlation, y [N, P, Q, K] of x [N, H, W, C] with w [K, R, S, C]: forward, data gradient, weight gradient.
//
//   y[n, p, q, k] = sum over r, s, c of x[n, p*stride - padding + r, q*stride - padding + s, c] w[k, r, s, c]
//
// x is zero outside its extents. x, y and w are of the activation type, which the device chooses. Operands that do not
// match the Conv2dShape throw std::logic_error, and so does a fusion that the planner does not offer for the shape. On
// a GPU, give a shape to Device::autotune before it is planned or run.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// y = x * w with the fused ops that Planner::conv2d_fusion offers for the shape, in this order:
/// 1. input norm: x becomes relu(input_scale*x + input_shift), before the zero padding
/// 2. the convolution
/// 3. bias, then relu
/// 4. statistics: mean and variance of y
///
/// CUDA refuses bias together with an input norm or statistics, and outside the stem without relu.
template <class T> struct Conv2dForward {
    static constexpr std::string_view name = "conv2d_forward";
    Out<T> y;
    OptionalOut<T> mean{}, variance{}; ///< f32 [K]: per-channel mean and biased variance of y; both or neither
    In<T> x;
    OptionalIn<T> w{};                          ///< absent where prepared_w is given
    OptionalIn<T> prepared_w{};                 ///< f32, from conv2d_prepare_weights
    OptionalIn<T> input_scale{}, input_shift{}; ///< [C], of x's type; both or neither
    OptionalIn<T> bias{};                       ///< [K]: y = conv + bias; f32, of x's type with ConvFusion::narrow_bias
    Scratch<T> scratch{};
    bool relu = false; ///< y = relu(conv + bias); needs bias
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// The data gradient: dx [N, H, W, C] from dy [N, P, Q, K], the gradient of y.
template <class T> struct Conv2dDataGrad {
    static constexpr std::string_view name = "conv2d_data_grad";
    Out<T> dx;
    In<T> dy, w;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// The weight gradient: dw [K, R, S, C] f32 from dy [N, P, Q, K], the gradient of y. If input_scale and input_shift
/// ([C], of x's type) are given, the forward pass convolved relu(input_scale*x + input_shift).
template <class T> struct Conv2dWeightGrad {
    static constexpr std::string_view name = "conv2d_weight_grad";
    Out<T> dw;
    In<T> dy, x;
    OptionalIn<T> input_scale{}, input_shift{};
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// prepared f32 [floats] = the form of w that conv2d_forward would otherwise compute in every call, such as Winograd's
/// transformed filters. For weights that stay the same, as in inference. The form is private to the device.
/// Planner::conv2d_prepared_weights gives `floats`; std::logic_error where it offers no form for the shape.
template <class T> struct Conv2dPrepareWeights {
    static constexpr std::string_view name = "conv2d_prepare_weights";
    Out<T> prepared;
    In<T> w;
    Conv2dShape shape{};
};

/// folded_w [K, R, S, C] = w*scale[k], scale f32 [K]. A convolution followed by batch norm is one convolution with
/// these weights and bias = shift. w and folded_w are F32, F16 or BF16 each, on the CPU F32.
template <class T> struct FoldConvWeights {
    static constexpr std::string_view name = "fold_conv_weights";
    Out<T> folded_w;
    In<T> w, scale;
};

namespace reference {
void run(const Conv2dForward<Tensor>&);
void run(const Conv2dDataGrad<Tensor>&);
void run(const Conv2dWeightGrad<Tensor>&);
void run(const Conv2dPrepareWeights<Tensor>&); ///< a copy of the weights
void run(const FoldConvWeights<Tensor>&);
} // namespace reference
namespace cpu {
void run(const Conv2dForward<Tensor>&, Context&);
void run(const Conv2dDataGrad<Tensor>&, Context&);
void run(const Conv2dWeightGrad<Tensor>&, Context&);
void run(const Conv2dPrepareWeights<Tensor>&, Context&);
void run(const FoldConvWeights<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dDataGrad<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dWeightGrad<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const Conv2dForward<Tensor>&, Context&);
void run(const Conv2dDataGrad<Tensor>&, Context&);
void run(const Conv2dWeightGrad<Tensor>&, Context&);
void run(const Conv2dPrepareWeights<Tensor>&, Context&);
void run(const FoldConvWeights<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dDataGrad<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dWeightGrad<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
