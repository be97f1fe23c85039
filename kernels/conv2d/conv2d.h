#pragma once

// 2-d cross-correlation, y [N, P, Q, K] of x [N, H, W, C] with w [K, R, S, C]: forward, data gradient, weight gradient.
// x, y and w are of the activation type, which the device chooses.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// y = x * w, with the fused work that the planner offers for the shape (ConvFusion).
template <class T> struct Conv2dForward {
    static constexpr std::string_view name = "conv2d_forward";
    Out<T> y;
    OptionalOut<T> mean{}, variance{}; ///< f32 [K]: per-channel mean and biased variance of y
    In<T> x;
    OptionalIn<T> w{};                          ///< absent where prepared_w is given
    OptionalIn<T> prepared_w{};                 ///< by conv2d_prepare_weights
    OptionalIn<T> input_scale{}, input_shift{}; ///< [C], of x's type: convolve relu(scale*x + shift)
    OptionalIn<T> bias{};                       ///< f32 [K]: y = conv + bias
    Scratch<T> scratch{};
    bool relu = false; ///< y = relu(conv + bias); needs bias
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// dx [N, H, W, C] = the gradient of y with respect to x, applied to dy.
template <class T> struct Conv2dDataGrad {
    static constexpr std::string_view name = "conv2d_data_grad";
    Out<T> dx;
    In<T> dy, w;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// dw f32. With input_scale and input_shift ([C], of x's type) the input was relu(scale*x + shift).
template <class T> struct Conv2dWeightGrad {
    static constexpr std::string_view name = "conv2d_weight_grad";
    Out<T> dw;
    In<T> dy, x;
    OptionalIn<T> input_scale{}, input_shift{};
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// prepared f32, the form that conv2d_forward would else make of w in each call, for weights that stay the same, as in
/// inference. Only where Planner::prepared_weights gives a form for the shape.
template <class T> struct Conv2dPrepareWeights {
    static constexpr std::string_view name = "conv2d_prepare_weights";
    Out<T> prepared;
    In<T> w;
    Conv2dShape shape{};
};

/// folded_w = w * scale[k]: a convolution followed by batch norm as one convolution with bias = shift. w and folded_w
/// F32 or F16, scale f32 [K].
template <class T> struct FoldConvWeights {
    static constexpr std::string_view name = "fold_conv_weights";
    Out<T> folded_w;
    In<T> w, scale;
};

} // namespace scene
