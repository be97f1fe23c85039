#pragma once

// Everything the machine can do: one virtual function per op. CpuBackend (kernels/cpu) and, where it is built,
// CudaBackend (kernels/cuda) implement it; `kernels/cpu/<op>.cpp` is the readable reference of
// `kernels/cuda/<op>.cu`.
//
// Conventions
// - Outputs come first, then inputs, then scratch, then sizes and settings. Every output is overwritten (=)
//   unless its line says +=. An output may alias an input only where its line says "in place".
// - Layout is NHWC: activations [N, H, W, C] with H = time and W = frequency, convolution weights
//   [K, R, S, C], linear weights [out, in]. N clips, T tokens, D features per token, K classes.
// - "activation type" is F32, or F16 on devices that train in half precision. Statistics, parameters' master
//   copies, losses and everything marked f32 are always F32; indices are I32.
// - Reductions have a fixed order: the same inputs give the same bits, run after run.
// - Shapes and types are checked; a wrong one throws std::logic_error that says what was expected.
// - Tensors are in the backend's memory (`allocate`). Ops are queued in order and may run asynchronously;
//   `download` and `synchronize` wait for them. No op allocates device memory, builds plans or waits when it
//   is called a second time with the same shapes.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/augmentation.h"
#include "kernels/confidence.h"
#include "kernels/device.h"
#include "kernels/log_mel_spec.h"
#include "kernels/op_types.h"
#include "kernels/tensor.h"

namespace scene {

/// The ops that are not in folders of their own yet.
class Backend : public Device, public Planner {
public:
    const Planner& planner() const override { return *this; }

    // ---- features -------------------------------------------------------------------------------------------
    /// out [N, frames, bands] f32 in dB; wave [N, samples] f32. librosa's magnitude mel spectrogram and
    /// power_to_db(ref=1, top_db); equations in kernels/log_mel_spec.h.
    virtual void log_mel(Tensor out, Tensor wave, const LogMelSpec& spec) = 0;
    /// out [N, T, F, 3]: x [N, T, F], its delta and its delta-delta along T, as librosa.feature.delta(width=9,
    /// mode="interp") of order 1 and 2 (Savitzky-Golay, polynomial order = delta order). T >= 9.
    virtual void deltas(Tensor out, Tensor x) = 0;

    // ---- batches --------------------------------------------------------------------------------------------
    /// rows [N, ...] = table[order[control.cursor + n], ...]; same type (F32 or I32), rows may be F16 when
    /// table is F32. order [R] I32. A negative entry of the order is an empty place in the last batch: its row
    /// is 0 (F32) or -1 (I32).
    virtual void gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control) = 0;
    /// table[order[control.cursor + n], ...] = rows [N, ...]: the inverse, for predictions (f32). Negative entries
    /// are skipped.
    virtual void scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control) = 0;
    /// control.cursor += batch; control.step += steps, unless `adam` skipped the step. control: U8
    /// [sizeof(StepControl)].
    virtual void advance(Tensor control, uint32_t batch, uint32_t steps) = 0;

    // ---- augmentation of a training batch: kernels/augmentation.h --------------------------------------------
    /// draws U8 [N, sizeof(ClipDraw)] = draw_clip of every place in a batch of clips [T, F], by control.seed and
    /// control.step.
    virtual void draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames,
                                   int64_t bands) = 0;
    /// mean, deviation f32 [N, F] over T, clip_mean f32 [N] over T and F of x f32 [N, T, F]. The deviation is
    /// sqrt(biased variance + 1e-6).
    virtual void band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x) = 0;
    /// y [N, T, F] = s v(n) + (1 - s) v(m), with clip n's mix_share s and mix_partner m; x and y f32 and apart.
    /// v(n) is, with style_share r, style_partner p and m(n) = mean[n] + gain of n:
    ///   outside of n's masks  (x[n, (t - roll) mod T, f] - mean[n]) (r dev[n] + (1 - r) dev[p])/dev[n]
    ///                         + r m(n) + (1 - r) m(p); where r is 1, x + gain
    ///   inside                the same clip's mean: the second line with clip_mean in place of mean.
    /// The moments are those of x; absent where the draws neither mask nor mix statistics.
    virtual void augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation,
                                  Tensor clip_mean) = 0;
    /// mixed_weight [N] = s weight[n] + (1 - s) weight[m], mixed_target [N, K] = (s weight[n] target[n] +
    /// (1 - s) weight[m] target[m])/mixed_weight (without the weights where that is 0), f32. So the loss of a mixed
    /// clip, smoothed or not, is s times that of n and 1 - s times that of m, each with its own weight.
    virtual void mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws) = 0;

    // ---- convolution ----------------------------------------------------------------------------------------
    /// Scratch the pass needs, in bytes; the `scratch` tensor given to the op has at least that many (U8).
    virtual size_t conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const = 0;
    /// y [N, P, Q, K] = x [N, H, W, C] * w [K, R, S, C], with the extras that conv2d_fusion offers.
    virtual void conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                                const ConvExtras& extras) = 0;
    /// prepared [floats] f32 from w [K, R, S, C]; only where conv2d_prepared_weights gives a form for the shape.
    virtual void conv2d_prepare_weights(Tensor /*prepared*/, Tensor /*w*/, const Conv2dShape& /*shape*/) {
        SCENE_CHECK(false, "this backend prepares no weights");
    }
    /// dx [N, H, W, C] = the gradient of y with respect to x, applied to dy.
    virtual void conv2d_data_grad(Tensor dx, Tensor dy, Tensor w, Tensor scratch, const Conv2dShape& shape) = 0;
    /// dw [K, R, S, C] f32. With input_scale and input_shift ([C], of x's type) the input was relu(scale*x + shift).
    virtual void conv2d_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                                    Tensor input_scale, Tensor input_shift) = 0;

    /// Where the convolution's x was relu(z), z = gamma*(norm_x - mean)*inv_std + beta: dz = dx where z > 0, else 0,
    /// with dx as in conv2d_data_grad, and dgamma = sum of dz*(norm_x - mean)*inv_std, dbeta = sum of dz, f32 [C].
    /// norm_x and dz [N, H, W, C]. batch_norm_apply_gradient does the rest. `scratch` as for conv2d_data_grad.
    virtual void conv2d_data_grad_norm(Tensor dz, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor w, Tensor norm_x,
                                       Tensor mean, Tensor inv_std, Tensor gamma, Tensor beta, Tensor scratch,
                                       const Conv2dShape& shape) = 0;

    // ---- batch norm: rows [M] x channels [C]; x is any tensor whose last axis is C ---------------------------
    /// mean, variance (biased) f32 [C] over all rows, in two passes or an equally stable way.
    virtual void batch_norm_statistics(Tensor mean, Tensor variance, Tensor x) = 0;
    /// Training: scale = gamma/sqrt(variance + eps), shift = beta - mean*scale, inv_std = 1/sqrt(variance + eps), and
    /// running = (1 - momentum)*running + momentum*batch, with the unbiased variance rows/(rows - 1). All f32 [C].
    virtual void batch_norm_finalize(Tensor scale, Tensor shift, Tensor inv_std, Tensor running_mean,
                                     Tensor running_variance, Tensor mean, Tensor variance, Tensor gamma, Tensor beta,
                                     int64_t rows, float momentum, float epsilon) = 0;
    /// Inference: the same scale and shift from the running statistics. All f32 [C].
    virtual void batch_norm_fold(Tensor scale, Tensor shift, Tensor running_mean, Tensor running_variance, Tensor gamma,
                                 Tensor beta, float epsilon) = 0;
    /// folded_w [K, R, S, C] = w * scale[k]: a convolution followed by batch norm as one convolution with
    /// bias = shift.
    virtual void fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale) = 0;
    /// y = epilogue(scale*x + shift); x [N, H, W, C] (or [M, C] without pooling), y pooled when asked. In place
    /// without pooling.
    virtual void batch_norm_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, const NormEpilogue& epilogue,
                                    Tensor control) = 0;
    /// dgamma, dbeta f32 [C] and dx (absent dx: not wanted; in place over x) from dy, the gradient of the
    /// epilogue's output. x is the batch norm's input; relu, mask and maxima are computed again from it.
    /// dx = scale*(dz - mean(dz) - xhat*mean(dz*xhat)), xhat = (x - mean)*inv_std.
    virtual void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x, Tensor mean,
                                     Tensor inv_std, Tensor scale, Tensor shift, Tensor scratch,
                                     const NormEpilogue& epilogue, Tensor control) = 0;
    virtual size_t batch_norm_scratch_bytes(const Shape& x) const = 0;
    /// The last part of batch_norm_backward, from dz and its sums: dx = scale*(dz - dbeta/M - xhat*dgamma/M). In place
    /// over x.
    virtual void batch_norm_apply_gradient(Tensor dx, Tensor dz, Tensor x, Tensor mean, Tensor inv_std, Tensor scale,
                                           Tensor dgamma, Tensor dbeta) = 0;

    // ---- squeeze and excitation (Hu et al., CVPR 2018), after a batch norm and before the relu ---------------
    /// pooled [N, C] f32 = mean over H, W of scale*x + shift; x [N, H, W, C].
    virtual void se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift) = 0;
    /// y = relu((scale*x + shift) * gate[n, c]), 2x2 average-pooled (floor) when asked.
    virtual void se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool) = 0;
    /// dgate [N, C] f32 = sum over H, W of dy*[y > 0]*(scale*x + shift).
    virtual void se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                         bool avg_pool) = 0;
    /// dz [N, H, W, C] = dy*[y > 0]*gate + dpooled[n, c]/(H*W): the gradient of z = scale*x + shift. dpooled
    /// f32 [N, C] is the gradient of se_squeeze's output.
    virtual void se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                    Tensor dpooled, bool avg_pool) = 0;

    // ---- pooling --------------------------------------------------------------------------------------------
    /// y [N, T, C] from x [N, H, W, C]: token t is the mean over all W and rows floor(t*H/T) .. ceil((t+1)*H/T) - 1
    /// (PyTorch's adaptive average pooling to T x 1).
    virtual void token_pool_forward(Tensor y, Tensor x) = 0;
    virtual void token_pool_backward(Tensor dx, Tensor dy) = 0;
    /// y [N, D] = max over t of x [N, T, D]; argmax [N, D] I32 is the first maximum.
    virtual void token_max_forward(Tensor y, Tensor argmax, Tensor x) = 0;
    virtual void token_max_backward(Tensor dx, Tensor dy, Tensor argmax) = 0;

    // ---- linear ---------------------------------------------------------------------------------------------
    /// y [M, O] = dropout(activation(x [M, I] w[O, I]^T + bias)); bias f32 [O] may be absent.
    virtual void linear_forward(Tensor y, Tensor x, Tensor w, Tensor bias, Activation activation, Dropout dropout,
                                Tensor control) = 0;
    /// dpre [M, O] = the gradient before activation and dropout, from dy and the op's output y. In place over dy.
    virtual void linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                            Tensor control) = 0;
    /// dx [M, I] = dpre w, or += when `accumulate`.
    virtual void linear_data_grad(Tensor dx, Tensor dpre, Tensor w, bool accumulate) = 0;
    /// dw [O, I] f32 = dpre^T x; dbias [O] f32 = column sums of dpre (absent: not wanted).
    virtual void linear_weight_grad(Tensor dw, Tensor dbias, Tensor dpre, Tensor x) = 0;

    // ---- transformer encoder --------------------------------------------------------------------------------
    /// out [N, T, D] = softmax(q k^T / sqrt(D/heads)) v per head, with dropout on the probabilities; qkv
    /// [N, T, 3D] holds q, k and v side by side, each split into heads. Dropout element index:
    /// ((n*heads + h)*T + i)*T + j.
    virtual void attention_forward(Tensor out, Tensor qkv, int heads, Dropout dropout, Tensor control) = 0;
    /// dqkv [N, T, 3D] from dout; probabilities are computed again.
    virtual void attention_backward(Tensor dqkv, Tensor dout, Tensor qkv, int heads, Dropout dropout,
                                    Tensor control) = 0;

    // ---- fusion head ----------------------------------------------------------------------------------------
    /// y [N, E] = table[index[n]], zeros where index is -1 (unknown); table [V, E].
    virtual void embedding_forward(Tensor y, Tensor table, Tensor index) = 0;
    /// dtable [V, E] f32: rows summed in batch order, zero where unused.
    virtual void embedding_backward(Tensor dtable, Tensor dy, Tensor index) = 0;
    /// y [N, sum of D_i] = the parts [N, D_i] side by side.
    virtual void concat_columns(Tensor y, const std::vector<Tensor>& parts) = 0;
    /// The inverse.
    virtual void split_columns(const std::vector<Tensor>& parts, Tensor y) = 0;

    // ---- loss, metrics, optimiser ---------------------------------------------------------------------------
    /// p = softmax(logits); q = (1 - smoothing)*target + smoothing/K; loss[n] = -weight[n]*sum_k q_k log p_k;
    /// dlogits = control.loss_scale*weight[n]/N*(p - q) (absent: not wanted). target [N, K] f32 rows sum to 1;
    /// probabilities [N, K], loss [N], weight [N] f32. Paper, section II-B and equation (1).
    virtual void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target,
                              Tensor weight, float smoothing, Tensor control) = 0;
    /// probabilities [N, K] f32 = softmax(logits).
    virtual void softmax(Tensor probabilities, Tensor logits) = 0;
    /// loss_sum F64 [1] += sum of loss; confusion I32 [K, K] [true][predicted] += 1 per clip whose target has a maximum
    /// above 0 (rows of zeros are unlabelled and are not counted). Predicted: first of equal maxima.
    virtual void accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities,
                                    Tensor target) = 0;
    /// weight[r] = 1/(confidence + 1e-8) over the rows with member[r] != 0, scaled to mean 1 over them; 1 elsewhere.
    /// confidence = confidence_of(probabilities[r], measure), probabilities [R, K] f32; member I32 [R]; weight f32 [R].
    /// Paper, equation (1).
    virtual void hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure) = 0;
    /// Adam (Kingma and Ba, 2015) over flat f32 buffers, t = control.step + 1, gradient divided by
    /// control.loss_scale; parameters_half (F16, may be absent) gets the rounded copy. A non-finite gradient
    /// sets control.nonfinite and leaves everything else as it was.
    virtual void adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor parameters_half,
                      Tensor gradients, Tensor control, const AdamSettings& settings) = 0;
    /// After `adam` and `advance`: a skipped step halves control.loss_scale and is forgotten (control.nonfinite = 0),
    /// unless the scale is the least already; `patience` good steps in a row double it.
    virtual void adjust_loss_scale(Tensor control, const LossScaling& scaling) = 0;
    virtual void fill_zero(Tensor x) = 0;
    /// to = from, rounded to the nearest, between F32 and F16, of one shape.
    virtual void convert(Tensor to, Tensor from) = 0;

    // ---- nearest neighbours ---------------------------------------------------------------------------------
    /// votes[b, c] [B, K] f32 = sum over the `neighbours` members m with the largest similarity[b, m] (equal ones:
    /// lowest m first) of softmax over them of similarity/temperature, where label[m] = c. similarity [B, M] f32; label
    /// [M] I32 in 0 .. K - 1, or negative: an empty place, no member. All members vote where there are fewer; zeros
    /// where there is none. AdaNPC (Zhang et al., ICML 2023, arXiv 2304.12566), equation of its prediction.
    virtual void nearest_votes(Tensor votes, Tensor similarity, Tensor label, int64_t neighbours,
                               float temperature) = 0;

protected:
    Backend(const RunTable& run, const ScratchTable& scratch) : Device(run), Planner(scratch) {}
};

/// The CPU backend: oneDNN, OpenMP and SIMD, compiled for the best that this processor has (kernels/cpu_isa.h).
/// `threads` 0 means all cores.
std::unique_ptr<Backend> make_cpu_backend(int threads);

} // namespace scene
