#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Softmax cross-entropy with label smoothing and a weight for each clip (paper, section II-B and equation (1)):
///   p = softmax(logits), q = (1 - smoothing)*target + smoothing/K
///   loss[n] = -weight[n]*sum_k q[n, k] log p[n, k]
///   dlogits[n] = control.loss_scale*weight[n]/N*(p[n] - q[n])
/// probabilities = p. dlogits is the gradient of control.loss_scale times the mean loss if the rows of target sum to 1.
/// logits, dlogits [N, K] of the activation type; target, probabilities f32 [N, K]; loss, weight f32 [N].
template <class T> struct SoftmaxLoss {
    static constexpr std::string_view name = "softmax_loss";
    OptionalOut<T> dlogits{};
    Out<T> loss, probabilities;
    In<T> logits, target, weight;
    OptionalIn<T> control{}; ///< needed for dlogits
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
