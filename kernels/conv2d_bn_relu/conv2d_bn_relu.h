#pragma once

// A small-channel (stem) convolution with batch norm and relu in closed form: a = relu(scale*y + shift), where the
// convolution's output y is never written. y is linear in its im2col patch (T = R*S*C elements of x, zeros in the
// padding), so the patches' mean m [T] and covariance C [T, T] give y's statistics before y is there: mean = w.m and
// variance = w.C w. a is then a convolution with weights scale*w and bias shift.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// mean, variance (biased) f32 [K] of y; moments f32 [1 + T, T]: m, then C. x [N, H, W, C] of the activation type,
/// w [K, R, S, C] f32.
template <class T> struct Conv2dBnStatistics {
    static constexpr std::string_view name = "conv2d_bn_statistics";
    Out<T> mean, variance, moments;
    In<T> x, w;
    Scratch<T> scratch{};
    Conv2dShape shape{};
};

/// dgamma, dbeta f32 [K], dw f32 [K, R, S, C] and dx [N, H, W, C] from da, the gradient of a [N, P, Q, K]. With dz = da
/// where a > 0 and S the sum of dz*(patch - m): dbeta = sum of dz, dgamma = inv_std*w.S, dw = scale*(S -
/// dgamma*inv_std*C w), and dx is the convolution's data gradient of dy = scale*(dz - mean(dz) - xhat*mean(dz*xhat))
/// with xhat = (y - mean)*inv_std. inv_std and scale = gamma*inv_std are those of batch_norm_finalize. w f32; da, a, x
/// and dx of the activation type.
template <class T> struct Conv2dBnReluBackward {
    static constexpr std::string_view name = "conv2d_bn_relu_backward";
    OptionalOut<T> dx{};
    Out<T> dw, dgamma, dbeta;
    In<T> da, a, x, w, moments, mean, inv_std, scale;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return (dx ? 2 : 1) * shape.flops(); }
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
/// Whether both ops can: a stem convolution (kernels/conv2d/stem.h) with less padding than its kernel has rows.
bool conv2d_bn_relu_suits(const Conv2dShape& shape);
void run(const Conv2dBnStatistics<Tensor>&, Context&);
void run(const Conv2dBnReluBackward<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>&, const Planning&);
size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
