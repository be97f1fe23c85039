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

#include <cuda_runtime.h>

#include "kernels/backend.h"

namespace scene::cuda {

// ---- batch norm ---------------------------------------------------------------------------------------------------
size_t batch_norm_statistics_scratch_bytes(const Shape& x);
void batch_norm_statistics(Tensor mean, Tensor variance, Tensor x, Tensor scratch, cudaStream_t stream);
void batch_norm_finalize(Tensor scale, Tensor shift, Tensor inv_std, Tensor running_mean, Tensor running_variance,
                         Tensor mean, Tensor variance, Tensor gamma, Tensor beta, int64_t rows, float momentum,
                         float epsilon, cudaStream_t stream);
void batch_norm_fold(Tensor scale, Tensor shift, Tensor running_mean, Tensor running_variance, Tensor gamma,
                     Tensor beta, float epsilon, cudaStream_t stream);
void batch_norm_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, const NormEpilogue& epilogue, Tensor control,
                        cudaStream_t stream);
/// Enough for every epilogue.
size_t batch_norm_backward_scratch_bytes(const Shape& x);
void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x, Tensor mean, Tensor inv_std,
                         Tensor scale, Tensor shift, Tensor scratch, const NormEpilogue& epilogue, Tensor control,
                         cudaStream_t stream);

// ---- loss ---------------------------------------------------------------------------------------------------------
/// logits and dlogits are activations.
void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target, Tensor weight,
                  float smoothing, Tensor control, cudaStream_t stream);
void softmax(Tensor probabilities, Tensor logits, cudaStream_t stream);

} // namespace scene::cuda
