#pragma once

// Batch norm (Ioffe and Szegedy, ICML 2015) over M rows of C channels. x, y and their gradients are of the activation
// type. Their last axis is C, all others count as rows. Every operand per channel is f32 [C]. Wrong shapes or types
// throw std::logic_error.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Mean and biased variance of each channel. Stable where the mean is large against the deviation, where
/// E[x^2] - E[x]^2 would cancel.
template <class T> struct BatchNormStatistics {
    static constexpr std::string_view name = "batch_norm_statistics";
    Out<T> mean, variance;
    In<T> x;
    Scratch<T> scratch{};
};

/// Training, over `rows` = M rows, at least 2.
/// - inv_std = 1/sqrt(variance + epsilon)
/// - scale = gamma*inv_std, shift = beta - mean*scale
/// - running_mean = (1 - momentum)*running_mean + momentum*mean
/// - running_variance likewise; `variance` is biased, the running one is of the unbiased M/(M - 1)*variance
template <class T> struct BatchNormFinalize {
    static constexpr std::string_view name = "batch_norm_finalize";
    Out<T> scale, shift, inv_std;
    InOut<T> running_mean, running_variance;
    In<T> mean, variance, gamma, beta;
    int64_t rows;
    float momentum, epsilon;

    /// From biased to unbiased variance: M/(M - 1). std::logic_error below 2 rows.
    float bessel_correction() const {
        SCENE_CHECK(rows > 1, "batch norm in training over " + std::to_string(rows) + " row, expected at least 2");
        return static_cast<float>(static_cast<double>(rows) / static_cast<double>(rows - 1));
    }
};

/// Inference. scale = gamma/sqrt(running_variance + epsilon), shift = beta - running_mean*scale.
template <class T> struct BatchNormFold {
    static constexpr std::string_view name = "batch_norm_fold";
    Out<T> scale, shift;
    In<T> running_mean, running_variance, gamma, beta;
    float epsilon;
};

/// y = epilogue(scale*x + shift). With pooling x is [N, H, W, C] and y [N, H/2, W/2, C], both rounded down; without it
/// y may be x. An epilogue with both dropout and pooling throws std::logic_error.
template <class T> struct BatchNormForward {
    static constexpr std::string_view name = "batch_norm_forward";
    Out<T> y;
    In<T> x, scale, shift;
    OptionalIn<T> control{}; ///< required if epilogue.dropout.p > 0
    Scratch<T> scratch{};
    NormEpilogue epilogue;
};

/// The gradients of batch norm in training, from dy, the gradient of BatchNormForward's y, and its input x. With dz the
/// gradient of z = scale*x + shift and xhat = (x - mean)*inv_std:
/// - dbeta = sum of dz over the rows
/// - dgamma = sum of dz*xhat
/// - dx = scale*(dz - dbeta/M - xhat*dgamma/M), where it is wanted
///
/// dz is recomputed: the relu mask and the pooling's argmax from x, the dropout mask from the control. dx may be x.
///
/// With pooling y, the forward pass's output, may be given. Only a window's largest z has a gradient, and y is that z,
/// so a device may take dbeta and dgamma from dy and y alone, with xhat = (y - beta)/gamma. y is rounded to the
/// activation type. In half precision this changes dgamma by about what the rounding of dy does, if |beta| <= |gamma|.
/// Channels with |beta| > |gamma| or |gamma| < 2^-10 are summed from x. Planner::norm_backward_reads_output says
/// whether a device does this; others ignore y.
template <class T> struct BatchNormBackward {
    static constexpr std::string_view name = "batch_norm_backward";
    OptionalOut<T> dx{};
    Out<T> dgamma, dbeta;
    In<T> dy, x, mean, inv_std, scale, shift;
    OptionalIn<T> y{};       ///< only with max_pool
    OptionalIn<T> control{}; ///< required if epilogue.dropout.p > 0
    Scratch<T> scratch{};
    NormEpilogue epilogue;

    /// One pass over dy and x, or dy and y, for the sums and, if dx is wanted, one over dy and x that writes it.
    double bytes() const {
        const size_t per_channel = dgamma.bytes() + dbeta.bytes() + mean.bytes() + inv_std.bytes() + scale.bytes() +
                                   shift.bytes() + control.bytes();
        const size_t sums = dy.bytes() + (y ? y.bytes() : x.bytes());
        return static_cast<double>(sums + (dx ? dy.bytes() + x.bytes() + dx.bytes() : 0) + per_channel);
    }
};

/// The dx of BatchNormBackward from a dz, dgamma and dbeta that Conv2dDataGradBnReduce has computed. dx may be x.
template <class T> struct BatchNormApplyGradient {
    static constexpr std::string_view name = "batch_norm_apply_gradient";
    Out<T> dx;
    In<T> dz, x, mean, inv_std, scale, dgamma, dbeta;
};

namespace reference {
void run(const BatchNormStatistics<Tensor>&);
void run(const BatchNormFinalize<Tensor>&);
void run(const BatchNormFold<Tensor>&);
void run(const BatchNormForward<Tensor>&);
void run(const BatchNormBackward<Tensor>&);
void run(const BatchNormApplyGradient<Tensor>&);
} // namespace reference
namespace cpu {
void run(const BatchNormStatistics<Tensor>&, Context&);
void run(const BatchNormFinalize<Tensor>&, Context&);
void run(const BatchNormFold<Tensor>&, Context&);
void run(const BatchNormForward<Tensor>&, Context&);
void run(const BatchNormBackward<Tensor>&, Context&);
void run(const BatchNormApplyGradient<Tensor>&, Context&);
size_t scratch_bytes(const BatchNormStatistics<TensorSpec>&, const Planning&);
size_t scratch_bytes(const BatchNormForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const BatchNormBackward<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const BatchNormStatistics<Tensor>&, Context&);
void run(const BatchNormFinalize<Tensor>&, Context&);
void run(const BatchNormFold<Tensor>&, Context&);
void run(const BatchNormForward<Tensor>&, Context&);
void run(const BatchNormBackward<Tensor>&, Context&);
void run(const BatchNormApplyGradient<Tensor>&, Context&);
size_t scratch_bytes(const BatchNormStatistics<TensorSpec>&, const Planning&);
size_t scratch_bytes(const BatchNormBackward<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
