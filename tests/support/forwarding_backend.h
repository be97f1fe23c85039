#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace scene::test {

/// Hands every call on to another backend. Tests derive from it to see, or to change, what a program asks for.
class ForwardingBackend : public Device {
public:
    explicit ForwardingBackend(std::unique_ptr<Device> to = make_cpu_device(1)) : owned_(std::move(to)) {}

    DeviceInfo info() const override { return to_.info(); }
    DType activation_type() const override { return to_.activation_type(); }
    void* allocate(size_t bytes) override { return to_.allocate(bytes); }
    void release(void* memory) override { to_.release(memory); }
    void* import(const void* host, size_t bytes) override { return to_.import(host, bytes); }
    void release_import(void* memory) override { to_.release_import(memory); }
    void upload(void* device, const void* host, size_t bytes) override { to_.upload(device, host, bytes); }
    void download(void* host, const void* device, size_t bytes) override { to_.download(host, device, bytes); }
    void synchronize() override { to_.synchronize(); }
    std::function<void()> record(std::function<void()> ops) override { return to_.record(std::move(ops)); }
    double seconds_of(const std::function<void()>& ops) override { return to_.seconds_of(ops); }
    void log_mel(Tensor out, Tensor wave, const LogMelSpec& spec) override { to_.log_mel(out, wave, spec); }
    void deltas(Tensor out, Tensor x) override { to_.deltas(out, x); }
    void gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control) override {
        to_.gather_rows(rows, table, order, control);
    }
    void scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control) override {
        to_.scatter_rows(table, rows, order, control);
    }
    void advance(Tensor control, uint32_t batch, uint32_t steps) override { to_.advance(control, batch, steps); }
    void draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames,
                           int64_t bands) override {
        to_.draw_augmentation(draws, control, sampler, frames, bands);
    }
    void band_moments(Tensor mean, Tensor deviation, Tensor clip_mean, Tensor x) override {
        to_.band_moments(mean, deviation, clip_mean, x);
    }
    void augment_features(Tensor y, Tensor x, Tensor draws, Tensor mean, Tensor deviation, Tensor clip_mean) override {
        to_.augment_features(y, x, draws, mean, deviation, clip_mean);
    }
    void mix_targets(Tensor mixed_target, Tensor mixed_weight, Tensor target, Tensor weight, Tensor draws) override {
        to_.mix_targets(mixed_target, mixed_weight, target, weight, draws);
    }
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override { return to_.conv2d_fusion(shape); }
    size_t conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const override {
        return to_.conv2d_scratch_bytes(shape, pass);
    }
    void conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                        const ConvExtras& extras) override {
        to_.conv2d_forward(y, x, w, scratch, shape, extras);
    }
    PreparedWeights conv2d_prepared_weights(const Conv2dShape& shape) const override {
        return to_.conv2d_prepared_weights(shape);
    }
    void conv2d_prepare_weights(Tensor prepared, Tensor w, const Conv2dShape& shape) override {
        to_.conv2d_prepare_weights(prepared, w, shape);
    }
    void conv2d_data_grad(Tensor dx, Tensor dy, Tensor w, Tensor scratch, const Conv2dShape& shape) override {
        to_.conv2d_data_grad(dx, dy, w, scratch, shape);
    }
    void conv2d_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                            Tensor input_scale, Tensor input_shift) override {
        to_.conv2d_weight_grad(dw, dy, x, scratch, shape, input_scale, input_shift);
    }
    void conv2d_data_grad_norm(Tensor dz, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor w, Tensor norm_x, Tensor mean,
                               Tensor inv_std, Tensor gamma, Tensor beta, Tensor scratch,
                               const Conv2dShape& shape) override {
        to_.conv2d_data_grad_norm(dz, dgamma, dbeta, dy, w, norm_x, mean, inv_std, gamma, beta, scratch, shape);
    }
    void conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w, Tensor scratch,
                                const Conv2dShape& shape) override {
        to_.conv2d_norm_statistics(mean, variance, moments, x, w, scratch, shape);
    }
    size_t conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) const override {
        return to_.conv2d_norm_statistics_scratch_bytes(shape);
    }
    void conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                              Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale, Tensor scratch,
                              const Conv2dShape& shape) override {
        to_.conv2d_norm_backward(dx, dw, dgamma, dbeta, da, a, x, w, moments, mean, inv_std, scale, scratch, shape);
    }
    size_t conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) const override {
        return to_.conv2d_norm_backward_scratch_bytes(shape);
    }
    void batch_norm_statistics(Tensor mean, Tensor variance, Tensor x) override {
        to_.batch_norm_statistics(mean, variance, x);
    }
    void batch_norm_finalize(Tensor scale, Tensor shift, Tensor inv_std, Tensor running_mean, Tensor running_variance,
                             Tensor mean, Tensor variance, Tensor gamma, Tensor beta, int64_t rows, float momentum,
                             float epsilon) override {
        to_.batch_norm_finalize(scale, shift, inv_std, running_mean, running_variance, mean, variance, gamma, beta,
                                rows, momentum, epsilon);
    }
    void batch_norm_fold(Tensor scale, Tensor shift, Tensor running_mean, Tensor running_variance, Tensor gamma,
                         Tensor beta, float epsilon) override {
        to_.batch_norm_fold(scale, shift, running_mean, running_variance, gamma, beta, epsilon);
    }
    void fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale) override {
        to_.fold_conv_weights(folded_w, w, scale);
    }
    void batch_norm_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, const NormEpilogue& epilogue,
                            Tensor control) override {
        to_.batch_norm_forward(y, x, scale, shift, epilogue, control);
    }
    void batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x, Tensor mean, Tensor inv_std,
                             Tensor scale, Tensor shift, Tensor scratch, const NormEpilogue& epilogue,
                             Tensor control) override {
        to_.batch_norm_backward(dx, dgamma, dbeta, dy, x, mean, inv_std, scale, shift, scratch, epilogue, control);
    }
    size_t batch_norm_scratch_bytes(const Shape& x) const override { return to_.batch_norm_scratch_bytes(x); }
    void batch_norm_apply_gradient(Tensor dx, Tensor dz, Tensor x, Tensor mean, Tensor inv_std, Tensor scale,
                                   Tensor dgamma, Tensor dbeta) override {
        to_.batch_norm_apply_gradient(dx, dz, x, mean, inv_std, scale, dgamma, dbeta);
    }
    void se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift) override {
        to_.se_squeeze(pooled, x, scale, shift);
    }
    void se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool) override {
        to_.se_excite_forward(y, x, scale, shift, gate, avg_pool);
    }
    void se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                 bool avg_pool) override {
        to_.se_excite_backward_gate(dgate, dy, x, scale, shift, gate, avg_pool);
    }
    void se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate, Tensor dpooled,
                            bool avg_pool) override {
        to_.se_excite_backward(dz, dy, x, scale, shift, gate, dpooled, avg_pool);
    }
    void token_pool_forward(Tensor y, Tensor x) override { to_.token_pool_forward(y, x); }
    void token_pool_backward(Tensor dx, Tensor dy) override { to_.token_pool_backward(dx, dy); }
    void token_max_forward(Tensor y, Tensor argmax, Tensor x) override { to_.token_max_forward(y, argmax, x); }
    void token_max_backward(Tensor dx, Tensor dy, Tensor argmax) override { to_.token_max_backward(dx, dy, argmax); }
    void linear_forward(Tensor y, Tensor x, Tensor w, Tensor bias, Activation activation, Dropout dropout,
                        Tensor control) override {
        to_.linear_forward(y, x, w, bias, activation, dropout, control);
    }
    void linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                    Tensor control) override {
        to_.linear_activation_backward(dpre, dy, y, activation, dropout, control);
    }
    void linear_data_grad(Tensor dx, Tensor dpre, Tensor w, bool accumulate) override {
        to_.linear_data_grad(dx, dpre, w, accumulate);
    }
    void linear_weight_grad(Tensor dw, Tensor dbias, Tensor dpre, Tensor x) override {
        to_.linear_weight_grad(dw, dbias, dpre, x);
    }
    void attention_forward(Tensor out, Tensor qkv, int heads, Dropout dropout, Tensor control) override {
        to_.attention_forward(out, qkv, heads, dropout, control);
    }
    void attention_backward(Tensor dqkv, Tensor dout, Tensor qkv, int heads, Dropout dropout, Tensor control) override {
        to_.attention_backward(dqkv, dout, qkv, heads, dropout, control);
    }
    void layer_norm_forward(Tensor y, Tensor moments, Tensor x, Tensor branch, Tensor gamma, Tensor beta, float epsilon,
                            Dropout dropout, Tensor control) override {
        to_.layer_norm_forward(y, moments, x, branch, gamma, beta, epsilon, dropout, control);
    }
    void layer_norm_backward(Tensor dx, Tensor dbranch, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor moments,
                             Tensor x, Tensor branch, Tensor gamma, Dropout dropout, Tensor control) override {
        to_.layer_norm_backward(dx, dbranch, dgamma, dbeta, dy, moments, x, branch, gamma, dropout, control);
    }
    void embedding_forward(Tensor y, Tensor table, Tensor index) override { to_.embedding_forward(y, table, index); }
    void embedding_backward(Tensor dtable, Tensor dy, Tensor index) override {
        to_.embedding_backward(dtable, dy, index);
    }
    void concat_columns(Tensor y, const std::vector<Tensor>& parts) override { to_.concat_columns(y, parts); }
    void split_columns(const std::vector<Tensor>& parts, Tensor y) override { to_.split_columns(parts, y); }
    void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target, Tensor weight,
                      float smoothing, Tensor control) override {
        to_.softmax_loss(dlogits, loss, probabilities, logits, target, weight, smoothing, control);
    }
    void softmax(Tensor probabilities, Tensor logits) override { to_.softmax(probabilities, logits); }
    void accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities,
                            Tensor target) override {
        to_.accumulate_metrics(loss_sum, confusion, loss, probabilities, target);
    }
    void hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure) override {
        to_.hard_sample_weights(weight, probabilities, member, measure);
    }
    void adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor parameters_half, Tensor gradients,
              Tensor control, const AdamSettings& settings) override {
        to_.adam(parameters, first_moment, second_moment, parameters_half, gradients, control, settings);
    }
    void adjust_loss_scale(Tensor control, const LossScaling& scaling) override {
        to_.adjust_loss_scale(control, scaling);
    }
    void fill_zero(Tensor x) override { to_.fill_zero(x); }
    void convert(Tensor to, Tensor from) override { to_.convert(to, from); }
    void nearest_votes(Tensor votes, Tensor similarity, Tensor label, int64_t neighbours, float temperature) override {
        to_.nearest_votes(votes, similarity, label, neighbours, temperature);
    }
    void begin_range(const std::string& name) override { to_.begin_range(name); }
    void end_range() override { to_.end_range(); }

private:
    std::unique_ptr<Device> owned_;
    Device& to_ = *owned_;
};

} // namespace scene::test
