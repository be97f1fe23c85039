#pragma once

// CUDA kernels for convolutions with few input channels, such as a network's first one (its stem). 16-bit activations
// take tensor cores (kernels/conv2d/stem_tensor_core.h), float ones CUDA cores. Operands are those of the records in
// kernels/conv2d/conv2d.h; y and dy must be 16-byte aligned. Shapes that do not suit throw std::logic_error.

#include <cuda_runtime.h>

#include "kernels/cuda/device_limits.h"
#include "kernels/op_types.h"

namespace scene::cuda {

/// Whether these kernels can compute a shape: 1 to 4 input channels, at most 256 output channels, kernel 7, stride 2
/// and input width 256, and tiles and weights that fit into a block's shared memory.
bool conv2d_stem_suits(const Conv2dShape& shape, const DeviceLimits& limits = {});

/// y = conv(x, w), then the bias (may be absent), then the relu (needs a bias).
void conv2d_stem_forward(Tensor y, Tensor x, Tensor w, Tensor bias, bool relu, const Conv2dShape& shape,
                         cudaStream_t stream);
void conv2d_stem_data_grad(Tensor dx, Tensor dy, Tensor w, const Conv2dShape& shape, cudaStream_t stream);

size_t conv2d_stem_weight_grad_scratch_bytes(const Conv2dShape& shape);
void conv2d_stem_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                             cudaStream_t stream);

} // namespace scene::cuda
