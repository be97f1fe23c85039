#pragma once

// Shapes and settings that the ops of kernels/device.h take: what a kernel needs to know of it.

#include <cstdint>

#include "kernels/tensor.h"

namespace scene {

/// What changes from step to step, in the device's memory, so that a recorded step can be replayed
/// without host work. The host writes it at the start of an epoch; `advance` moves it on.
struct StepControl {
    uint64_t seed = 0;       ///< key of every random draw
    uint32_t step = 0;       ///< optimiser steps completed; Adam's t is step + 1
    uint32_t cursor = 0;     ///< first position of this batch in the epoch's order
    float learning_rate = 0; ///< of this epoch
    float loss_scale = 1;    ///< multiplies the loss gradient; the optimiser divides it out
    uint32_t nonfinite = 0;  ///< set by `adam` when a gradient is NaN or Inf and the step was skipped
    uint32_t good_steps = 0; ///< steps since the loss scale last changed
};

/// Dynamic loss scaling (Micikevicius et al., ICLR 2018): gradients in half precision are computed of loss*scale, with
/// the largest scale that does not overflow.
struct LossScaling {
    float first = 65536;      ///< of a new run
    float least = 1;          ///< a gradient that overflows at this scale is broken
    float most = 65536 * 256; ///< never above it
    uint32_t patience = 2000; ///< steps without an overflow after which the scale doubles
};

/// A 2-d cross-correlation, square stride, zero padding on all sides.
struct Conv2dShape {
    int64_t batch = 0, height = 0, width = 0, in_channels = 0, out_channels = 0;
    int64_t kernel = 3, stride = 1, padding = 1;
    /// Of the batches that this is the last and smaller one of, so that it comes seldom; 0: a batch of its own.
    int64_t full_batch = 0;

    int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
    int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
    Shape x() const { return {batch, height, width, in_channels}; }
    Shape y() const { return {batch, out_height(), out_width(), out_channels}; }
    Shape w() const { return {out_channels, kernel, kernel, in_channels}; }
    /// Floating-point operations of one pass by the direct method, 2 per multiply-add (forward, data-grad and
    /// weight-grad are the same), whatever algorithm the device runs.
    double flops() const {
        return 2.0 *
               static_cast<double>(batch * out_height() * out_width() * out_channels * kernel * kernel * in_channels);
    }
    /// The shape that it is the last and smaller batch of.
    Conv2dShape of_full_batch() const {
        Conv2dShape full = *this;
        full.batch = full_batch;
        full.full_batch = 0;
        return full;
    }
    bool operator==(const Conv2dShape&) const = default;
};

/// What a device's convolution can do besides convolving, for one shape; a layer emits separate ops otherwise.
struct ConvFusion {
    bool normalize_input = false; ///< reads relu(scale*x + shift) in place of x, forward and weight-grad
    bool statistics = false;      ///< writes the per-channel mean and variance of y while it writes y
    bool bias_relu = false;       ///< writes relu(y + bias) in place of y
    bool bn_reduce = false;      ///< conv2d_data_grad_bn_reduce: a batch norm's sums come with the gradient of its relu
    bool closed_form_bn = false; ///< conv2d_bn_statistics, conv2d_bn_relu_backward: batch norm and relu without y
};

/// What a convolution whose weights stay the same from call to call can make of them once.
struct PreparedWeights {
    int64_t floats = 0;       ///< of the prepared form; 0: there is none
    size_t scratch_bytes = 0; ///< that conv2d_forward needs with it
};

enum class ConvPass : uint8_t { Forward, DataGrad, WeightGrad };

/// Inverted dropout: a value is zeroed with probability `p`, else divided by 1 - p. The mask of element i is
/// random_word(control.seed, stream, control.step, i) < dropout_threshold(p) (kernels/philox.h).
struct Dropout {
    float p = 0;
    uint32_t stream = 0;
};

/// What follows a batch norm inside the same pass over memory, in this order.
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
