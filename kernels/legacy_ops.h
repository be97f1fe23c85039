#pragma once

// Ops that are not in folders of their own yet, as their records.

#include "kernels/backend.h"

namespace scene {

inline void run(const LogMel<Tensor>& o, Backend& b) { b.log_mel(o.out, o.wave, o.spec); }
inline void run(const Deltas<Tensor>& o, Backend& b) { b.deltas(o.y, o.x); }
inline void run(const GatherRows<Tensor>& o, Backend& b) { b.gather_rows(o.rows, o.table, o.order, o.control); }
inline void run(const ScatterRows<Tensor>& o, Backend& b) { b.scatter_rows(o.table, o.rows, o.order, o.control); }
inline void run(const Advance<Tensor>& o, Backend& b) { b.advance(o.control, o.batch, o.steps); }
inline void run(const DrawAugmentation<Tensor>& o, Backend& b) {
    b.draw_augmentation(o.draws, o.control, o.sampler, o.frames, o.bands);
}
inline void run(const BandMoments<Tensor>& o, Backend& b) { b.band_moments(o.mean, o.deviation, o.clip_mean, o.x); }
inline void run(const AugmentFeatures<Tensor>& o, Backend& b) {
    b.augment_features(o.y, o.x, o.draws, o.mean, o.deviation, o.clip_mean);
}
inline void run(const MixTargets<Tensor>& o, Backend& b) {
    b.mix_targets(o.mixed_target, o.mixed_weight, o.target, o.weight, o.draws);
}
inline void run(const Conv2dForward<Tensor>& o, Backend& b) {
    ConvExtras extras;
    extras.input_scale = o.input_scale;
    extras.input_shift = o.input_shift;
    extras.mean = o.mean;
    extras.variance = o.variance;
    extras.bias = o.bias;
    extras.relu = o.relu;
    extras.prepared_weights = o.prepared_w;
    b.conv2d_forward(o.y, o.x, o.w, o.scratch, o.shape, extras);
}
inline size_t scratch_bytes(const Conv2dForward<TensorSpec>& o, const Backend& b) {
    if (o.prepared_w) return b.conv2d_prepared_weights(o.shape).scratch_bytes;
    return b.conv2d_scratch_bytes(o.shape, ConvPass::Forward);
}
inline void run(const Conv2dDataGrad<Tensor>& o, Backend& b) {
    b.conv2d_data_grad(o.dx, o.dy, o.w, o.scratch, o.shape);
}
inline size_t scratch_bytes(const Conv2dDataGrad<TensorSpec>& o, const Backend& b) {
    return b.conv2d_scratch_bytes(o.shape, ConvPass::DataGrad);
}
inline void run(const Conv2dWeightGrad<Tensor>& o, Backend& b) {
    b.conv2d_weight_grad(o.dw, o.dy, o.x, o.scratch, o.shape, o.input_scale, o.input_shift);
}
inline size_t scratch_bytes(const Conv2dWeightGrad<TensorSpec>& o, const Backend& b) {
    return b.conv2d_scratch_bytes(o.shape, ConvPass::WeightGrad);
}
inline void run(const Conv2dPrepareWeights<Tensor>& o, Backend& b) {
    b.conv2d_prepare_weights(o.prepared, o.w, o.shape);
}
inline void run(const FoldConvWeights<Tensor>& o, Backend& b) { b.fold_conv_weights(o.folded_w, o.w, o.scale); }
inline void run(const Conv2dDataGradBnReduce<Tensor>& o, Backend& b) {
    b.conv2d_data_grad_norm(o.dz, o.dgamma, o.dbeta, o.dy, o.w, o.norm_x, o.mean, o.inv_std, o.gamma, o.beta, o.scratch,
                            o.shape);
}
inline size_t scratch_bytes(const Conv2dDataGradBnReduce<TensorSpec>& o, const Backend& b) {
    return b.conv2d_scratch_bytes(o.shape, ConvPass::DataGrad);
}
inline void run(const BatchNormStatistics<Tensor>& o, Backend& b) { b.batch_norm_statistics(o.mean, o.variance, o.x); }
inline void run(const BatchNormFinalize<Tensor>& o, Backend& b) {
    b.batch_norm_finalize(o.scale, o.shift, o.inv_std, o.running_mean, o.running_variance, o.mean, o.variance, o.gamma,
                          o.beta, o.rows, o.momentum, o.epsilon);
}
inline void run(const BatchNormFold<Tensor>& o, Backend& b) {
    b.batch_norm_fold(o.scale, o.shift, o.running_mean, o.running_variance, o.gamma, o.beta, o.epsilon);
}
inline void run(const BatchNormForward<Tensor>& o, Backend& b) {
    b.batch_norm_forward(o.y, o.x, o.scale, o.shift, o.epilogue, o.control);
}
inline void run(const BatchNormBackward<Tensor>& o, Backend& b) {
    b.batch_norm_backward(o.dx, o.dgamma, o.dbeta, o.dy, o.x, o.mean, o.inv_std, o.scale, o.shift, o.scratch,
                          o.epilogue, o.control);
}
inline size_t scratch_bytes(const BatchNormBackward<TensorSpec>& o, const Backend& b) {
    return b.batch_norm_scratch_bytes(o.x.shape);
}
inline void run(const BatchNormApplyGradient<Tensor>& o, Backend& b) {
    b.batch_norm_apply_gradient(o.dx, o.dz, o.x, o.mean, o.inv_std, o.scale, o.dgamma, o.dbeta);
}
inline void run(const SqueezeExciteSqueeze<Tensor>& o, Backend& b) { b.se_squeeze(o.pooled, o.x, o.scale, o.shift); }
inline void run(const SqueezeExciteForward<Tensor>& o, Backend& b) {
    b.se_excite_forward(o.y, o.x, o.scale, o.shift, o.gate, o.avg_pool);
}
inline void run(const SqueezeExciteBackwardGate<Tensor>& o, Backend& b) {
    b.se_excite_backward_gate(o.dgate, o.dy, o.x, o.scale, o.shift, o.gate, o.avg_pool);
}
inline void run(const SqueezeExciteBackward<Tensor>& o, Backend& b) {
    b.se_excite_backward(o.dz, o.dy, o.x, o.scale, o.shift, o.gate, o.dpooled, o.avg_pool);
}
inline void run(const TokenPoolForward<Tensor>& o, Backend& b) { b.token_pool_forward(o.y, o.x); }
inline void run(const TokenPoolBackward<Tensor>& o, Backend& b) { b.token_pool_backward(o.dx, o.dy); }
inline void run(const TokenMaxForward<Tensor>& o, Backend& b) { b.token_max_forward(o.y, o.argmax, o.x); }
inline void run(const TokenMaxBackward<Tensor>& o, Backend& b) { b.token_max_backward(o.dx, o.dy, o.argmax); }
inline void run(const LinearForward<Tensor>& o, Backend& b) {
    b.linear_forward(o.y, o.x, o.w, o.bias, o.activation, o.dropout, o.control);
}
inline void run(const LinearActivationBackward<Tensor>& o, Backend& b) {
    b.linear_activation_backward(o.dpre, o.dy, o.y, o.activation, o.dropout, o.control);
}
inline void run(const LinearDataGrad<Tensor>& o, Backend& b) {
    b.linear_data_grad(o.dx, o.dpre, o.w, static_cast<bool>(o.addend));
}
inline void run(const LinearWeightGrad<Tensor>& o, Backend& b) { b.linear_weight_grad(o.dw, o.dbias, o.dpre, o.x); }
inline void run(const AttentionForward<Tensor>& o, Backend& b) {
    b.attention_forward(o.y, o.qkv, o.heads, o.dropout, o.control);
}
inline void run(const AttentionBackward<Tensor>& o, Backend& b) {
    b.attention_backward(o.dqkv, o.dy, o.qkv, o.heads, o.dropout, o.control);
}
inline void run(const EmbeddingForward<Tensor>& o, Backend& b) { b.embedding_forward(o.y, o.table, o.index); }
inline void run(const EmbeddingBackward<Tensor>& o, Backend& b) { b.embedding_backward(o.dtable, o.dy, o.index); }
template <class Parts> std::vector<Tensor> present(const Parts& parts) {
    std::vector<Tensor> there;
    for (const Tensor& part : parts)
        if (part) there.push_back(part);
    return there;
}
inline void run(const ConcatForward<Tensor>& o, Backend& b) { b.concat_columns(o.y, present(o.parts)); }
inline void run(const ConcatBackward<Tensor>& o, Backend& b) { b.split_columns(present(o.dparts), o.dy); }
inline void run(const SoftmaxLoss<Tensor>& o, Backend& b) {
    b.softmax_loss(o.dlogits, o.loss, o.probabilities, o.logits, o.target, o.weight, o.smoothing, o.control);
}
inline void run(const Softmax<Tensor>& o, Backend& b) { b.softmax(o.probabilities, o.logits); }
inline void run(const AccumulateMetrics<Tensor>& o, Backend& b) {
    b.accumulate_metrics(o.loss_sum, o.confusion, o.loss, o.probabilities, o.target);
}
inline void run(const HardSampleWeights<Tensor>& o, Backend& b) {
    b.hard_sample_weights(o.weight, o.probabilities, o.member, o.measure);
}
inline void run(const Adam<Tensor>& o, Backend& b) {
    b.adam(o.parameters, o.first_moment, o.second_moment, o.parameters_half, o.gradients, o.control, o.settings);
}
inline void run(const AdjustLossScale<Tensor>& o, Backend& b) { b.adjust_loss_scale(o.control, o.scaling); }
inline void run(const FillZero<Tensor>& o, Backend& b) { b.fill_zero(o.x); }
inline void run(const Convert<Tensor>& o, Backend& b) { b.convert(o.y, o.x); }
inline void run(const NearestVotes<Tensor>& o, Backend& b) {
    b.nearest_votes(o.votes, o.similarity, o.label, o.neighbours, o.temperature);
}

} // namespace scene
