#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Softmax cross-entropy with label smoothing and a weight per clip. p = softmax(logits); q = (1 - smoothing)*target +
/// smoothing/K; loss[n] = -weight[n]*sum_k q_k log p_k; dlogits = control.loss_scale*weight[n]/N*(p - q), which is the
/// gradient of the mean loss, scaled, where the rows of target sum to 1. logits, dlogits [N, K] are activations;
/// target, probabilities [N, K], loss, weight [N] f32. Paper, section II-B and equation (1).
template <class T> struct SoftmaxLoss {
    static constexpr std::string_view name = "softmax_loss";
    OptionalOut<T> dlogits{};
    Out<T> loss, probabilities;
    In<T> logits, target, weight;
    OptionalIn<T> control{}; ///< where there is dlogits
    float smoothing;
};

namespace reference {
void run(const SoftmaxLoss<Tensor>&);
}
namespace cpu {
void run(const SoftmaxLoss<Tensor>&, Context&);
}
namespace cuda {
void run(const SoftmaxLoss<Tensor>&, Context&);
}

} // namespace scene
