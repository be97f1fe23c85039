#pragma once

// Shapes and settings in the records of ops (kernels/ops.h).

#include <cstdint>

#include "kernels/tensor.h"

namespace scene {

/// All that changes from step to step. It lies in the device's memory, so that a recorded step can be replayed without
/// host work. The host writes it at the start of an epoch; the op `advance` updates it.
struct StepControl {
    uint64_t seed = 0;       ///< key of every random draw
    uint32_t step = 0;       ///< optimiser steps completed; Adam's t is step + 1
    uint32_t cursor = 0;     ///< first position of this batch in the epoch's order
    float learning_rate = 0; ///< of this epoch
    float loss_scale = 1;    ///< multiplies the loss gradient; the optimiser divides it out
    uint32_t nonfinite = 0;  ///< set by `adam` when a gradient is NaN or Inf and the step was skipped
    uint32_t good_steps = 0; ///< steps since the loss scale last changed
};

/// Dynamic loss scaling (Micikevicius et al., ICLR 2018): the backward pass in half precision starts from loss*scale,
/// with the largest scale that does not overflow. The policy is that of the op `adjust_loss_scale`.
struct LossScaling {
    float first = 65536;      ///< initial scale of a run
    float least = 1;          ///< lower bound; a gradient that overflows even here is an error
    float most = 65536 * 256; ///< upper bound
    uint32_t patience = 2000; ///< steps without an overflow after which the scale doubles
};

/// A 2-d cross-correlation, NHWC: square kernel, equal strides, equal zero padding on all sides.
struct Conv2dShape {
    int64_t batch = 0, height = 0, width = 0, in_channels = 0, out_channels = 0;
    int64_t kernel = 3, stride = 1, padding = 1;
    /// For the smaller last batch of an epoch: the size of the full batches, whose tuned choices it takes over. Else 0.
    int64_t full_batch = 0;

    int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
    int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
    Shape x() const { return {batch, height, width, in_channels}; }
    Shape y() const { return {batch, out_height(), out_width(), out_channels}; }
    Shape w() const { return {out_channels, kernel, kernel, in_channels}; }
    /// FLOPs of one pass by the direct method, 2 per multiply-add, whatever algorithm the device runs. Forward, data
    /// gradient and weight gradient have the same number.
    double flops() const {
        return 2.0 *
               static_cast<double>(batch * out_height() * out_width() * out_channels * kernel * kernel * in_channels);
    }
    /// The same convolution with the full batch.
    Conv2dShape of_full_batch() const {
        Conv2dShape full = *this;
        full.batch = full_batch;
        full.full_batch = 0;
        return full;
    }
    bool operator==(const Conv2dShape&) const = default;
};

/// The fusions that a device offers for a convolution of one shape. A layer adds separate ops for those that are false.
struct ConvFusion {
    bool normalize_input = false; ///< prologue: reads relu(scale*x + shift) for x, forward and weight gradient
    bool statistics = false;      ///< epilogue: also reduces the per-channel mean and variance of y
    bool bias_relu = false;       ///< epilogue: writes relu(y + bias) for y
    bool narrow_bias = false;     ///< the bias is of the activation type and not f32
    bool bn_reduce = false;       ///< conv2d_data_grad_bn_reduce: dgrad masked by the relu before it, and dgamma, dbeta
    bool closed_form_bn = false;  ///< conv2d_bn_statistics, conv2d_bn_relu_backward: batch norm and relu without y
};

/// The transformed weights (Winograd, say) that a convolution can keep while its weights are constant, as in inference.
struct PreparedWeights {
    int64_t floats = 0;       ///< size of the transformed weights; 0: not offered
    size_t scratch_bytes = 0; ///< of conv2d_forward with transformed weights
};

enum class ConvPass : uint8_t { Forward, DataGrad, WeightGrad };

/// Inverted dropout: a value is zeroed with probability `p`, else divided by 1 - p. Element i is zeroed if
/// random_word(control.seed, stream, control.step, i) < dropout_threshold(p) (kernels/philox.h).
struct Dropout {
    float p = 0;
    uint32_t stream = 0;
};

/// What is fused behind a batch norm, in this order.
struct NormEpilogue {
    bool relu = true;
    Dropout dropout;       ///< after the relu; not together with max_pool
    bool max_pool = false; ///< 2x2, stride 2, floor; the first of equal maxima takes the gradient
};

enum class Activation : uint8_t { None, Relu, Sigmoid };

struct AdamSettings {
    float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f, weight_decay = 0; ///< weight_decay is Adam's L2, as in PyTorch
};

} // namespace scene
