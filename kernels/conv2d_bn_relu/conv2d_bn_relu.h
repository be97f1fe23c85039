#pragma once

// A small-channel (stem) convolution, batch norm and relu in closed form: a = relu(scale*y + shift), where the
// convolution's output y is never materialised. y is linear in its im2col patch (T = R*S*C elements of x, zeros in the
// padding). So the mean m [T] and the covariance C [T, T] of the patches give the statistics of y without y: per filter
// w, mean = w.m and variance = w.C w. Then a = relu(conv(x, scale*w) + shift) (fold_conv_weights, conv2d_forward).

#include "kernels/cuda/device_limits.h"
#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// The statistics of y.
/// - mean and biased variance, f32 [K]
/// - moments f32 [1 + T, T]: m, then C, for the backward pass
///
/// x [N, H, W, C] is of the activation type, w [K, R, S, C] f32.
template <class T> struct Conv2dBnStatistics {
    static constexpr std::string_view name = "conv2d_bn_statistics";
    Out<T> mean, variance, moments;
    In<T> x, w;
    Scratch<T> scratch{};
    Conv2dShape shape{};
};

/// The gradients from da, the gradient of a [N, P, Q, K]. With dz = da where a > 0, else 0, and S [K, T] the sum over
/// all positions of dz*(patch - m), per output channel:
/// - dbeta [K] = sum of dz
/// - dgamma [K] = inv_std*w.S
/// - dw [K, R, S, C] = scale*(S - dgamma*inv_std*C w)
/// - dx [N, H, W, C], where it is wanted, = the data gradient of dy = scale*(dz - mean(dz) - xhat*mean(dz*xhat)), with
///   xhat = (y - mean)*inv_std
///
/// inv_std and scale = gamma*inv_std are those of batch_norm_finalize. da, a, x and dx are of the activation type, all
/// others f32.
template <class T> struct Conv2dBnReluBackward {
    static constexpr std::string_view name = "conv2d_bn_relu_backward";
    OptionalOut<T> dx{};
    Out<T> dw, dgamma, dbeta;
    In<T> da, a, x, w, moments, mean, inv_std, scale;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return (dx ? 2 : 1) * shape.flops(); }
    /// One pass over all operands and, if dx is wanted, a second one over x for what the norm subtracts from dx.
    double bytes() const {
        const size_t once = dw.bytes() + dgamma.bytes() + dbeta.bytes() + da.bytes() + a.bytes() + w.bytes() +
                            moments.bytes() + mean.bytes() + inv_std.bytes() + scale.bytes();
        return static_cast<double>(once + (dx ? 2 : 1) * x.bytes() + dx.bytes());
    }
};

namespace reference {
void run(const Conv2dBnStatistics<Tensor>&);
void run(const Conv2dBnReluBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const Conv2dBnStatistics<Tensor>&, Context&);
void run(const Conv2dBnReluBackward<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
/// Whether both ops can compute a shape: a stem convolution (kernels/conv2d/stem.h) with padding < kernel, whose tiles
/// fit into a block's shared memory. For other shapes they throw std::logic_error.
bool conv2d_bn_relu_suits(const Conv2dShape& shape, const DeviceLimits& limits = {});
void run(const Conv2dBnStatistics<Tensor>&, Context&);
void run(const Conv2dBnReluBackward<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
