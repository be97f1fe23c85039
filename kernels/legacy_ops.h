#pragma once

// Ops that are not in folders of their own yet, as their records.

#include "kernels/backend.h"

namespace scene {

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
inline void run(const Conv2dBnStatistics<Tensor>& o, Backend& b) {
    b.conv2d_norm_statistics(o.mean, o.variance, o.moments, o.x, o.w, o.scratch, o.shape);
}
inline size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>& o, const Backend& b) {
    return b.conv2d_norm_statistics_scratch_bytes(o.shape);
}
inline void run(const Conv2dBnReluBackward<Tensor>& o, Backend& b) {
    b.conv2d_norm_backward(o.dx, o.dw, o.dgamma, o.dbeta, o.da, o.a, o.x, o.w, o.moments, o.mean, o.inv_std, o.scale,
                           o.scratch, o.shape);
}
inline size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>& o, const Backend& b) {
    return b.conv2d_norm_backward_scratch_bytes(o.shape);
}

} // namespace scene
