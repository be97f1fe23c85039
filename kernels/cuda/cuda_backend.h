#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/backend.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/libraries.h"

namespace scene::cuda {

/// The backend of an NVIDIA GPU: the kernels of this folder, and a library each for convolutions and matrix products.
/// With `transforms`, log_mel goes through them instead of its own kernel.
/// Ops are queued on one stream in the order of the calls. Convolutions, and the batch norms and pools between them,
/// work in the activation type; the encoder, the head and everything else in F32.
class CudaBackend final : public Backend {
public:
    /// Without `products` the backend only answers questions about shapes and needs no device.
    CudaBackend(DType activation, std::unique_ptr<Convolutions> convolutions, std::unique_ptr<MatrixProducts> products,
                std::unique_ptr<FourierTransforms> transforms = nullptr, Fusions fusions = Fusions::Quickest);
    ~CudaBackend() override;
    CudaBackend(const CudaBackend&) = delete;
    CudaBackend& operator=(const CudaBackend&) = delete;

    DeviceInfo info() const override;
    DType activation_type() const override { return activation_; }
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

    /// Decided when a shape is first asked for, then the same for good. With Fusions::Always it throws Error where a
    /// fusion that the library is made for has no engine that runs.
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override;
    ConvReport conv2d_report() const override;
    std::string libraries() const override { return convolutions_->version(); }
    size_t conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const override;
    void conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                        const ConvExtras& extras) override;
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

    void begin_range(const std::string& name) override;
    void end_range() override;

    Context& context() { return context_; }
    const Planning& planning() const { return planning_; }

private:
    /// Memory for the op about to be queued, free again when the op is done; content unspecified.
    Tensor scratch(size_t bytes);
    void* device_memory(size_t bytes);
    Tensor log_mel_table(const LogMelSpec& spec);
    void require_device() const;
    ConvFusion choose_fusion(const Conv2dShape& shape) const;
    bool can_fuse(const ConvolutionTask& task) const;
    void convolve(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch);
    void check_offered(const ConvolutionTask& task) const;

    struct Table {
        LogMelSpec spec;
        Tensor memory;
    };

    DType activation_;
    std::unique_ptr<Convolutions> convolutions_;
    std::unique_ptr<MatrixProducts> products_;
    std::unique_ptr<FourierTransforms> transforms_;
    Fusions fusions_;
    mutable std::vector<std::pair<Conv2dShape, ConvFusion>> chosen_fusions_;
    std::vector<ConvolutionTask> ran_; ///< each once
    cudaStream_t stream_ = nullptr;
    Planning planning_;
    Context context_{};
    std::map<void*, size_t> allocations_; ///< all of it, scratch and tables too
    // Records refer to scratch, so memory that has become too small is kept until the end.
    std::vector<Tensor> scratch_;
    std::vector<Table> tables_;
    bool recording_ = false;
};

} // namespace scene::cuda
