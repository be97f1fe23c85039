#pragma once

// A convolution's data gradient, fused with the backward reduction of the batch norm that precedes the convolution
// (dgrad + BN reduce).

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// In the forward pass the convolution's input was relu(z), with z = gamma*xhat + beta and
/// xhat = (norm_x - mean)*inv_std. With dx as conv2d_data_grad gives it from dy and w:
/// - dz [N, H, W, C] = dx where z > 0, else 0
/// - dgamma [C] = sum of dz*xhat
/// - dbeta [C] = sum of dz
///
/// batch_norm_apply_gradient then gives the gradient of norm_x. norm_x [N, H, W, C], dz, dy and w are of the activation
/// type, everything per channel is f32 [C]. The sums may be of dz before it is rounded to the activation type.
template <class T> struct Conv2dDataGradBnReduce {
    static constexpr std::string_view name = "conv2d_data_grad_bn_reduce";
    Out<T> dz, dgamma, dbeta;
    In<T> dy, w, norm_x, mean, inv_std, gamma, beta;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

namespace reference {
void run(const Conv2dDataGradBnReduce<Tensor>&);
} // namespace reference
namespace cpu {
void run(const Conv2dDataGradBnReduce<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dDataGradBnReduce<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const Conv2dDataGradBnReduce<Tensor>&, Context&);
size_t scratch_bytes(const Conv2dDataGradBnReduce<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
