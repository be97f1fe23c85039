// Ops still to be written; each line goes when its op arrives.
#include "kernels/cpu/cpu_backend.h"

namespace scene::cpu {

void CpuBackend::log_mel(Tensor, Tensor, const LogMelSpec&) { throw std::logic_error("log_mel is not written yet"); }
void CpuBackend::deltas(Tensor, Tensor) { throw std::logic_error("deltas is not written yet"); }
void CpuBackend::gather_rows(Tensor, Tensor, Tensor, Tensor) {
    throw std::logic_error("gather_rows is not written yet");
}
void CpuBackend::scatter_rows(Tensor, Tensor, Tensor, Tensor) {
    throw std::logic_error("scatter_rows is not written yet");
}
void CpuBackend::advance(Tensor, uint32_t, uint32_t) { throw std::logic_error("advance is not written yet"); }
ConvFusion CpuBackend::conv2d_fusion(const Conv2dShape&) const {
    throw std::logic_error("conv2d_fusion is not written yet");
}
size_t CpuBackend::conv2d_scratch_bytes(const Conv2dShape&, ConvPass) const {
    throw std::logic_error("conv2d_scratch_bytes is not written yet");
}
void CpuBackend::conv2d_forward(Tensor, Tensor, Tensor, Tensor, const Conv2dShape&, const ConvExtras&) {
    throw std::logic_error("conv2d_forward is not written yet");
}
void CpuBackend::conv2d_data_grad(Tensor, Tensor, Tensor, Tensor, const Conv2dShape&) {
    throw std::logic_error("conv2d_data_grad is not written yet");
}
void CpuBackend::conv2d_weight_grad(Tensor, Tensor, Tensor, Tensor, const Conv2dShape&, Tensor, Tensor) {
    throw std::logic_error("conv2d_weight_grad is not written yet");
}
void CpuBackend::batch_norm_statistics(Tensor, Tensor, Tensor) {
    throw std::logic_error("batch_norm_statistics is not written yet");
}
void CpuBackend::batch_norm_finalize(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int64_t,
                                     float, float) {
    throw std::logic_error("batch_norm_finalize is not written yet");
}
void CpuBackend::batch_norm_fold(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float) {
    throw std::logic_error("batch_norm_fold is not written yet");
}
void CpuBackend::fold_conv_weights(Tensor, Tensor, Tensor) {
    throw std::logic_error("fold_conv_weights is not written yet");
}
void CpuBackend::batch_norm_forward(Tensor, Tensor, Tensor, Tensor, const NormEpilogue&, Tensor) {
    throw std::logic_error("batch_norm_forward is not written yet");
}
void CpuBackend::batch_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                                     const NormEpilogue&, Tensor) {
    throw std::logic_error("batch_norm_backward is not written yet");
}
size_t CpuBackend::batch_norm_scratch_bytes(const Shape&) const {
    throw std::logic_error("batch_norm_scratch_bytes is not written yet");
}
void CpuBackend::se_squeeze(Tensor, Tensor, Tensor, Tensor) { throw std::logic_error("se_squeeze is not written yet"); }
void CpuBackend::se_excite_forward(Tensor, Tensor, Tensor, Tensor, Tensor, bool) {
    throw std::logic_error("se_excite_forward is not written yet");
}
void CpuBackend::se_excite_backward_gate(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool) {
    throw std::logic_error("se_excite_backward_gate is not written yet");
}
void CpuBackend::se_excite_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool) {
    throw std::logic_error("se_excite_backward is not written yet");
}
void CpuBackend::token_pool_forward(Tensor, Tensor) { throw std::logic_error("token_pool_forward is not written yet"); }
void CpuBackend::token_pool_backward(Tensor, Tensor) {
    throw std::logic_error("token_pool_backward is not written yet");
}
void CpuBackend::token_max_forward(Tensor, Tensor, Tensor) {
    throw std::logic_error("token_max_forward is not written yet");
}
void CpuBackend::token_max_backward(Tensor, Tensor, Tensor) {
    throw std::logic_error("token_max_backward is not written yet");
}
void CpuBackend::linear_forward(Tensor, Tensor, Tensor, Tensor, Activation, Dropout, Tensor) {
    throw std::logic_error("linear_forward is not written yet");
}
void CpuBackend::linear_activation_backward(Tensor, Tensor, Tensor, Activation, Dropout, Tensor) {
    throw std::logic_error("linear_activation_backward is not written yet");
}
void CpuBackend::linear_data_grad(Tensor, Tensor, Tensor, bool) {
    throw std::logic_error("linear_data_grad is not written yet");
}
void CpuBackend::linear_weight_grad(Tensor, Tensor, Tensor, Tensor) {
    throw std::logic_error("linear_weight_grad is not written yet");
}
void CpuBackend::attention_forward(Tensor, Tensor, int, Dropout, Tensor) {
    throw std::logic_error("attention_forward is not written yet");
}
void CpuBackend::attention_backward(Tensor, Tensor, Tensor, int, Dropout, Tensor) {
    throw std::logic_error("attention_backward is not written yet");
}
void CpuBackend::layer_norm_forward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float, Dropout, Tensor) {
    throw std::logic_error("layer_norm_forward is not written yet");
}
void CpuBackend::layer_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Dropout,
                                     Tensor) {
    throw std::logic_error("layer_norm_backward is not written yet");
}
void CpuBackend::embedding_forward(Tensor, Tensor, Tensor) {
    throw std::logic_error("embedding_forward is not written yet");
}
void CpuBackend::embedding_backward(Tensor, Tensor, Tensor) {
    throw std::logic_error("embedding_backward is not written yet");
}
void CpuBackend::concat_columns(Tensor, const std::vector<Tensor>&) {
    throw std::logic_error("concat_columns is not written yet");
}
void CpuBackend::split_columns(const std::vector<Tensor>&, Tensor) {
    throw std::logic_error("split_columns is not written yet");
}
void CpuBackend::softmax_loss(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float, Tensor) {
    throw std::logic_error("softmax_loss is not written yet");
}
void CpuBackend::softmax(Tensor, Tensor) { throw std::logic_error("softmax is not written yet"); }
void CpuBackend::accumulate_metrics(Tensor, Tensor, Tensor, Tensor, Tensor) {
    throw std::logic_error("accumulate_metrics is not written yet");
}
void CpuBackend::hard_sample_weights(Tensor, Tensor, Tensor) {
    throw std::logic_error("hard_sample_weights is not written yet");
}
void CpuBackend::adam(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, const AdamSettings&) {
    throw std::logic_error("adam is not written yet");
}
void CpuBackend::fill_zero(Tensor) { throw std::logic_error("fill_zero is not written yet"); }

} // namespace scene::cpu
