#pragma once

// A convolution's data gradient fused with the reduction of the batch norm behind which its input lies (dgrad + BN
// reduce).

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// The convolution's x was relu(z), z = gamma*xhat + beta, xhat = (norm_x - mean)*inv_std; mean, inv_std, gamma, beta
/// f32 [C]. With dx as in conv2d_data_grad: dz [N, H, W, C] = dx where z > 0, else 0; dgamma = sum of dz*xhat, dbeta =
/// sum of dz, f32 [C]. batch_norm_apply_gradient does the rest.
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
