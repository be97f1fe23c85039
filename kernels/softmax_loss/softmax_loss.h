#pragma once

#include "kernels/op.h"

namespace scene {

/// p = softmax(logits); q = (1 - smoothing)*target + smoothing/K; loss[n] = -weight[n]*sum_k q_k log p_k; dlogits =
/// control.loss_scale*weight[n]/N*(p - q). target [N, K] f32, rows sum to 1; probabilities [N, K], loss [N], weight [N]
/// f32. Paper, section II-B and equation (1).
template <class T> struct SoftmaxLoss {
    static constexpr std::string_view name = "softmax_loss";
    OptionalOut<T> dlogits{};
    Out<T> loss, probabilities;
    In<T> logits, target, weight, control;
    float smoothing;
};

} // namespace scene
