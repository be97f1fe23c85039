#pragma once

// A convolution's data gradient fused with the reduction of the batch norm behind which its input lies (dgrad + BN
// reduce).

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Where the convolution's x was relu(z), z = gamma*(norm_x - mean)*inv_std + beta: dz = dx where z > 0, else 0, with
/// dx as in conv2d_data_grad, dgamma = sum of dz*(norm_x - mean)*inv_std, dbeta = sum of dz, f32 [C]. norm_x and dz [N,
/// H, W, C]. batch_norm_apply_gradient does the rest.
template <class T> struct Conv2dDataGradBnReduce {
    static constexpr std::string_view name = "conv2d_data_grad_bn_reduce";
    Out<T> dz, dgamma, dbeta;
    In<T> dy, w, norm_x, mean, inv_std, gamma, beta;
    Scratch<T> scratch{};
    Conv2dShape shape{};

    double flops() const { return shape.flops(); }
};

} // namespace scene
