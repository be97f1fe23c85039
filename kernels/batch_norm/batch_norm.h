#pragma once

// Batch norm (Ioffe and Szegedy, 2015) over rows [M] of channels [C]: x is any tensor whose last axis is C, of the
// activation type. Everything per channel is f32 [C].

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// mean, variance (biased) over all rows, in two passes or an equally stable way.
template <class T> struct BatchNormStatistics {
    static constexpr std::string_view name = "batch_norm_statistics";
    Out<T> mean, variance;
    In<T> x;
    Scratch<T> scratch{};
};

/// Training: scale = gamma/sqrt(variance + eps), shift = beta - mean*scale, inv_std = 1/sqrt(variance + eps), and
/// running = (1 - momentum)*running + momentum*batch, with the unbiased variance rows/(rows - 1).
template <class T> struct BatchNormFinalize {
    static constexpr std::string_view name = "batch_norm_finalize";
    Out<T> scale, shift, inv_std;
    InOut<T> running_mean, running_variance;
    In<T> mean, variance, gamma, beta;
    int64_t rows;
    float momentum, epsilon;
};

/// Inference: the same scale and shift from the running statistics.
template <class T> struct BatchNormFold {
    static constexpr std::string_view name = "batch_norm_fold";
    Out<T> scale, shift;
    In<T> running_mean, running_variance, gamma, beta;
    float epsilon;
};

/// y = epilogue(scale*x + shift); x [N, H, W, C] (or [M, C] without pooling), y pooled when asked. In place without
/// pooling.
template <class T> struct BatchNormForward {
    static constexpr std::string_view name = "batch_norm_forward";
    Out<T> y;
    In<T> x, scale, shift;
    OptionalIn<T> control{}; ///< where there is dropout
    NormEpilogue epilogue;
};

/// dgamma, dbeta and dx from dy, the gradient of the epilogue's output. x is the batch norm's input; relu, mask and
/// maxima are computed again from it. dx = scale*(dz - mean(dz) - xhat*mean(dz*xhat)), xhat = (x - mean)*inv_std. In
/// place over x.
template <class T> struct BatchNormBackward {
    static constexpr std::string_view name = "batch_norm_backward";
    OptionalOut<T> dx{};
    Out<T> dgamma, dbeta;
    In<T> dy, x, mean, inv_std, scale, shift;
    OptionalIn<T> control{}; ///< where there is dropout
    Scratch<T> scratch{};
    NormEpilogue epilogue;

    /// One pass over dy and x for the sums and, where dx is wanted, one that writes it.
    double bytes() const {
        const size_t per_channel = dgamma.bytes() + dbeta.bytes() + mean.bytes() + inv_std.bytes() + scale.bytes() +
                                   shift.bytes() + control.bytes();
        return static_cast<double>((dx ? 2 : 1) * (dy.bytes() + x.bytes()) + dx.bytes() + per_channel);
    }
};

/// The last part of batch_norm_backward, from dz, the gradient of scale*x + shift, and its sums: dx = scale*(dz -
/// dbeta/M - xhat*dgamma/M). In place over x.
template <class T> struct BatchNormApplyGradient {
    static constexpr std::string_view name = "batch_norm_apply_gradient";
    Out<T> dx;
    In<T> dz, x, mean, inv_std, scale, dgamma, dbeta;
};

} // namespace scene
