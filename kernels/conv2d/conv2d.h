#pragma once

// 2-d cross-correlation, y [N, P, Q, K] of x [N, H, W, C] with w [K, R, S, C]: forward, data gradient, weight gradient.
// y[n, p, q, k] = sum over r, s, c of x[n, p*stride - padding + r, q*stride - padding + s, c] w[k, r, s, c], where x is
// zero outside. x, y and w are of the activation type, which the device chooses. On a GPU the planner answers for the
// shapes that were given to Device::autotune.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// y = x * w, with the fused work that the planner offers for the shape (ConvFusion), in this order: the input norm,
/// the convolution, bias, relu, statistics. A device may refuse bias beside an input norm or statistics.
template <class T> struct Conv2dForward {
    static constexpr std::string_view name = "conv2d_forward";
    Out<T> y;
    OptionalOut<T> mean{}, variance{}; ///< f32 [K]: per-channel mean and biased variance of y
    In<T> x;
    OptionalIn<T> w{};                          ///< absent where prepared_w is given
    OptionalIn<T> prepared_w{};                 ///< f32, by conv2d_prepare_weights
    OptionalIn<T> input_scale{}, input_shift{}; ///< [C], of x's type: convolve relu(scale*x + shift)
    OptionalIn<T> bias{};                       ///< f32 [K]: y = conv + bias
    Scratch<T> scratch{};
    bool relu = false; ///< y = relu(conv + bias); needs bias
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// dx [N, H, W, C] = the gradient of x from dy, that of y.
template <class T> struct Conv2dDataGrad {
    static constexpr std::string_view name = "conv2d_data_grad";
    Out<T> dx;
    In<T> dy, w;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// dw [K, R, S, C] f32 = the gradient of w from dy. With input_scale and input_shift ([C], of x's type) the input was
/// relu(scale*x + shift).
template <class T> struct Conv2dWeightGrad {
    static constexpr std::string_view name = "conv2d_weight_grad";
    Out<T> dw;
    In<T> dy, x;
    OptionalIn<T> input_scale{}, input_shift{};
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

/// prepared f32 = the form of w that conv2d_forward would else make in each call, for weights that stay the same, as in
/// inference. Only the device that made it can read it. Only where Planner::conv2d_prepared_weights gives a form for
/// the shape.
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

namespace reference {
void run(const Conv2dForward<Tensor>&);
void run(const Conv2dDataGrad<Tensor>&);
void run(const Conv2dWeightGrad<Tensor>&);
void run(const Conv2dPrepareWeights<Tensor>&); ///< the weights themselves
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
