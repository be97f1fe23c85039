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
#include "kernels/confidence.h"
#include "kernels/log_mel_spec.h"
#include "kernels/op_types.h"

namespace scene::cuda {

// ---- features -----------------------------------------------------------------------------------------------------
/// Window, twiddle factors and filter bank of a spec, to be copied to device memory, 16-byte aligned, once.
std::vector<std::byte> log_mel_table(const LogMelSpec& spec);
size_t log_mel_scratch_bytes(int64_t clips, const LogMelSpec& spec);
/// out [N, frames, bands] f32, wave [N, samples] f32; table U8: log_mel_table(spec).
void log_mel(Tensor out, Tensor wave, Tensor table, Tensor scratch, const LogMelSpec& spec, cudaStream_t stream);
/// All f32.
void deltas(Tensor out, Tensor x, cudaStream_t stream);

// ---- batches ------------------------------------------------------------------------------------------------------
void gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control, cudaStream_t stream);
void scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control, cudaStream_t stream);
void advance(Tensor control, uint32_t batch, uint32_t steps, cudaStream_t stream);
void fill_zero(Tensor x, cudaStream_t stream);

// ---- augmentation -------------------------------------------------------------------------------------------------
void draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames, int64_t bands,
                       cudaStream_t stream);
void band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x, cudaStream_t stream);
/// Absent moments that a draw needs are read at address 0: a device cannot throw.
void augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation, Tensor clip_mean,
                      cudaStream_t stream);
void mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws,
                 cudaStream_t stream);

// ---- convolution ---------------------------------------------------------------------------------------------------
/// folded_w, F32 or F16, = w * scale[k]; w F32 or F16.
void fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale, cudaStream_t stream);
/// to = from between F32 and F16, of one shape.
void convert(Tensor to, Tensor from, cudaStream_t stream);

// ---- batch norm ---------------------------------------------------------------------------------------------------
size_t batch_norm_statistics_scratch_bytes(const Shape& x);
void batch_norm_statistics(Tensor mean, Tensor variance, Tensor x, Tensor scratch, cudaStream_t stream);
/// mean and biased variance f32 [C] of `rows` values per channel from their sums and sums of squares, f32 [C], as a
/// convolution gives them. E[y^2] - E[y]^2 cancels: with float sums the variance has a relative error of about
/// 1e-7*(1 + mean^2/variance), where batch_norm_statistics has 1e-7. It is never negative.
void moments_of_sums(Tensor mean, Tensor variance, Tensor sum, Tensor square_sum, int64_t rows, cudaStream_t stream);
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

/// In place over x.
void batch_norm_apply_gradient(Tensor dx, Tensor dz, Tensor x, Tensor mean, Tensor inv_std, Tensor scale, Tensor dgamma,
                               Tensor dbeta, cudaStream_t stream);

// ---- squeeze and excitation ---------------------------------------------------------------------------------------
/// For se_squeeze and se_excite_backward_gate of x [N, H, W, C].
size_t se_scratch_bytes(const Shape& x);
void se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift, Tensor scratch, cudaStream_t stream);
void se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool, cudaStream_t stream);
void se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool,
                             Tensor scratch, cudaStream_t stream);
void se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate, Tensor dpooled,
                        bool avg_pool, cudaStream_t stream);

// ---- pooling: y and dy may be F32 where x and dx are F16 ----------------------------------------------------------
void token_pool_forward(Tensor y, Tensor x, cudaStream_t stream);
void token_pool_backward(Tensor dx, Tensor dy, cudaStream_t stream);
void token_max_forward(Tensor y, Tensor argmax, Tensor x, cudaStream_t stream);
void token_max_backward(Tensor dx, Tensor dy, Tensor argmax, cudaStream_t stream);

// ---- linear, besides the matrix products --------------------------------------------------------------------------
/// y [M, O] = dropout(activation(y + bias)), in place; bias f32 [O] may be absent.
void linear_epilogue(Tensor y, Tensor bias, Activation activation, Dropout dropout, Tensor control,
                     cudaStream_t stream);
void linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                Tensor control, cudaStream_t stream);
/// dbias [O] f32 = column sums of dpre [M, O].
size_t linear_bias_grad_scratch_bytes(const Shape& dpre);
void linear_bias_grad(Tensor dbias, Tensor dpre, Tensor scratch, cudaStream_t stream);

// ---- transformer encoder ------------------------------------------------------------------------------------------
/// One head's q, k, v and T x T probabilities must fit into a block's 227 KB of shared memory.
void attention_forward(Tensor out, Tensor qkv, int heads, Dropout dropout, Tensor control, cudaStream_t stream);
void attention_backward(Tensor dqkv, Tensor dout, Tensor qkv, int heads, Dropout dropout, Tensor control,
                        cudaStream_t stream);

// ---- fusion head --------------------------------------------------------------------------------------------------
/// The table is f32, y an activation. An index beyond the table gives NaN: a device cannot throw.
void embedding_forward(Tensor y, Tensor table, Tensor index, cudaStream_t stream);
void embedding_backward(Tensor dtable, Tensor dy, Tensor index, cudaStream_t stream);
/// At most 8 parts.
void concat_columns(Tensor y, const std::vector<Tensor>& parts, cudaStream_t stream);
void split_columns(const std::vector<Tensor>& parts, Tensor y, cudaStream_t stream);

// ---- loss, metrics, optimiser -------------------------------------------------------------------------------------
/// logits and dlogits are activations.
void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target, Tensor weight,
                  float smoothing, Tensor control, cudaStream_t stream);
void softmax(Tensor probabilities, Tensor logits, cudaStream_t stream);
void accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities, Tensor target,
                        cudaStream_t stream);
void hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure, cudaStream_t stream);
size_t adam_scratch_bytes();
void adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor parameters_half, Tensor gradients,
          Tensor control, const AdamSettings& settings, Tensor scratch, cudaStream_t stream);
void adjust_loss_scale(Tensor control, const LossScaling& scaling, cudaStream_t stream);

// ---- nearest neighbours -------------------------------------------------------------------------------------------
void nearest_votes(Tensor votes, Tensor similarity, Tensor label, int64_t neighbours, float temperature,
                   cudaStream_t stream);

} // namespace scene::cuda
