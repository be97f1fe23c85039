#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/context.h"

namespace scene::cpu {

/// The backend that runs on the host: oneDNN for matrix products and convolutions it does best, our own loops
/// (OpenMP, SIMD) for the rest. Ops run when they are called. Work is cut into pieces by size, never by thread
/// count, wherever a reduction crosses pieces.
class CpuBackend : public Backend {
public:
    explicit CpuBackend(int threads);
    ~CpuBackend() override;
    CpuBackend(const CpuBackend&) = delete;
    CpuBackend& operator=(const CpuBackend&) = delete;

    DeviceInfo info() const override;
    DType activation_type() const override { return DType::F32; }
    void* allocate(size_t bytes) override;
    void release(void* memory) override;
    void* import(const void* host, size_t bytes) override;
    void release_import(void* memory) override;
    void upload(void* device, const void* host, size_t bytes) override;
    void download(void* host, const void* device, size_t bytes) override;
    void synchronize() override;
    std::function<void()> record(std::function<void()> ops) override;
    double seconds_of(const std::function<void()>& ops) override;

    void log_mel(Tensor out, Tensor wave, const LogMelSpec& spec) override;
    void deltas(Tensor out, Tensor x) override;

    void gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control) override;
    void scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control) override;
    void advance(Tensor control, uint32_t batch, uint32_t steps) override;

    void draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames,
                           int64_t bands) override;
    void band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x) override;
    void augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation, Tensor clip_mean) override;
    void mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws) override;

    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override;
    size_t conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const override;
    void conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                        const ConvExtras& extras) override;
    PreparedWeights conv2d_prepared_weights(const Conv2dShape& shape) const override;
    void conv2d_prepare_weights(Tensor prepared, Tensor w, const Conv2dShape& shape) override;
    void conv2d_data_grad(Tensor dx, Tensor dy, Tensor w, Tensor scratch, const Conv2dShape& shape) override;
    void conv2d_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                            Tensor input_scale, Tensor input_shift) override;

    void conv2d_data_grad_norm(Tensor dz, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor w, Tensor norm_x, Tensor mean,
                               Tensor inv_std, Tensor gamma, Tensor beta, Tensor scratch,
                               const Conv2dShape& shape) override;

    void batch_norm_statistics(Tensor mean, Tensor variance, Tensor x) override;
    void batch_norm_finalize(Tensor scale, Tensor shift, Tensor inv_std, Tensor running_mean, Tensor running_variance,
                             Tensor mean, Tensor variance, Tensor gamma, Tensor beta, int64_t rows, float momentum,
                             float epsilon) override;
    void batch_norm_fold(Tensor scale, Tensor shift, Tensor running_mean, Tensor running_variance, Tensor gamma,
                         Tensor beta, float epsilon) override;
    void fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale) override;
    void batch_norm_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, const NormEpilogue& epilogue,
                            Tensor control) override;
    void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x, Tensor mean, Tensor inv_std,
                             Tensor scale, Tensor shift, Tensor scratch, const NormEpilogue& epilogue,
                             Tensor control) override;
    size_t batch_norm_scratch_bytes(const Shape& x) const override;
    void batch_norm_apply_gradient(Tensor dx, Tensor dz, Tensor x, Tensor mean, Tensor inv_std, Tensor scale,
                                   Tensor dgamma, Tensor dbeta) override;

    void se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift) override;
    void se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool) override;
    void se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                 bool avg_pool) override;
    void se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate, Tensor dpooled,
                            bool avg_pool) override;

    void token_pool_forward(Tensor y, Tensor x) override;
    void token_pool_backward(Tensor dx, Tensor dy) override;
    void token_max_forward(Tensor y, Tensor argmax, Tensor x) override;
    void token_max_backward(Tensor dx, Tensor dy, Tensor argmax) override;

    void linear_forward(Tensor y, Tensor x, Tensor w, Tensor bias, Activation activation, Dropout dropout,
                        Tensor control) override;
    void linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                    Tensor control) override;
    void linear_data_grad(Tensor dx, Tensor dpre, Tensor w, bool accumulate) override;
    void linear_weight_grad(Tensor dw, Tensor dbias, Tensor dpre, Tensor x) override;

    void attention_forward(Tensor out, Tensor qkv, int heads, Dropout dropout, Tensor control) override;
    void attention_backward(Tensor dqkv, Tensor dout, Tensor qkv, int heads, Dropout dropout, Tensor control) override;

    void embedding_forward(Tensor y, Tensor table, Tensor index) override;
    void embedding_backward(Tensor dtable, Tensor dy, Tensor index) override;
    void concat_columns(Tensor y, const std::vector<Tensor>& parts) override;
    void split_columns(const std::vector<Tensor>& parts, Tensor y) override;

    void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target, Tensor weight,
                      float smoothing, Tensor control) override;
    void softmax(Tensor probabilities, Tensor logits) override;
    void accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities,
                            Tensor target) override;
    void hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure) override;
    void adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor parameters_half, Tensor gradients,
              Tensor control, const AdamSettings& settings) override;
    void adjust_loss_scale(Tensor control, const LossScaling& scaling) override;
    void fill_zero(Tensor x) override;
    void convert(Tensor to, Tensor from) override;

    void nearest_votes(Tensor votes, Tensor similarity, Tensor label, int64_t neighbours, float temperature) override;

    Context& context() { return context_; }
    const Planning& planning() const { return planning_; }

private:
    int threads_;
    std::unique_ptr<ConvolutionPlans> convolutions_;
    std::unique_ptr<LogMelPlans> log_mels_;
    Planning planning_;
    Context context_;
};

} // namespace scene::cpu
