#pragma once

// The kernels of the CUDA backend. Each function queues one op of kernels/backend.h on `stream`; what it computes is
// documented there, at Backend's function of the same name, and shapes are those. What is different here:
// - An activation is F32 or F16, all of an op's alike; arithmetic and everything marked f32 there is float.
// - Ops that need memory take `scratch`: 16-byte aligned device memory of at least `<op>_scratch_bytes`. Its content
// means
//   nothing before and after.
// - Nothing is allocated, nothing waits. Shapes and types are checked (std::logic_error); a launch that CUDA refuses
//   throws Error.
// - Packs of 16 bytes are used where the last axis and the addresses allow it, which in an arena of aligned tensors
// they do.
// - Reductions have a fixed order that depends on shapes and element types alone.

#include <cstddef>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/augmentation.h"
#include "kernels/log_mel_spec.h"
#include "kernels/op_types.h"

namespace scene::cuda {

// ---- convolution of few input channels ----------------------------------------------------------------------------
/// Whether these kernels can: at most 4 input channels, 256 output channels, stride 2, and a line of the output that
/// fits into shared memory beside the weights.
bool conv2d_thin_suits(const Conv2dShape& shape);
/// y = conv(x, w), with bias (f32 [K], may be absent) and then the relu; w is of x's type.
void conv2d_thin_forward(Tensor y, Tensor x, Tensor w, Tensor bias, bool relu, const Conv2dShape& shape,
                         cudaStream_t stream);
void conv2d_thin_data_grad(Tensor dx, Tensor dy, Tensor w, const Conv2dShape& shape, cudaStream_t stream);
size_t conv2d_thin_weight_grad_scratch_bytes(const Conv2dShape& shape);
/// dw [K, R, S, C] f32.
void conv2d_thin_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                             cudaStream_t stream);
/// Whether the two below can: a thin convolution with less padding than its kernel has rows.
bool conv2d_norm_suits(const Conv2dShape& shape);
size_t conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape);
void conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w, Tensor scratch,
                            const Conv2dShape& shape, cudaStream_t stream);
size_t conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape);
void conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x, Tensor w,
                          Tensor moments, Tensor mean, Tensor inv_std, Tensor scale, Tensor scratch,
                          const Conv2dShape& shape, cudaStream_t stream);

// ---- linear, besides the matrix products --------------------------------------------------------------------------

// ---- transformer encoder ------------------------------------------------------------------------------------------

} // namespace scene::cuda
