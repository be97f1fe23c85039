#pragma once

// How CUDA runs conv2d where the input has few channels, as a network's first convolution (its stem). A tensor core's
// tile would be almost empty there. Operands are those of the records in kernels/conv2d/conv2d.h.

#include <cuda_runtime.h>

#include "kernels/op_types.h"

namespace scene::cuda {

/// Whether these kernels can: at most 4 input channels, 256 output channels, stride 2, and an output row that fits into
/// shared memory beside the weights.
bool conv2d_stem_suits(const Conv2dShape& shape);

/// y = conv(x, w), with bias (may be absent) and then the relu.
void conv2d_stem_forward(Tensor y, Tensor x, Tensor w, Tensor bias, bool relu, const Conv2dShape& shape,
                         cudaStream_t stream);
void conv2d_stem_data_grad(Tensor dx, Tensor dy, Tensor w, const Conv2dShape& shape, cudaStream_t stream);

size_t conv2d_stem_weight_grad_scratch_bytes(const Conv2dShape& shape);
void conv2d_stem_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                             cudaStream_t stream);

} // namespace scene::cuda
