#include "kernels/softmax_loss/softmax_loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void loss(const SoftmaxLoss<Tensor>& op) {
    const int64_t batch = op.logits.shape[0], classes = op.logits.shape[1];
    const Real *logits = values<Real>(op.logits), *target = values<Real>(op.target), *weight = values<Real>(op.weight);
    Real *dlogits = values<Real>(op.dlogits), *loss = values<Real>(op.loss), *p = values<Real>(op.probabilities);
    const Real smoothing = static_cast<Real>(op.smoothing);
    for (int64_t n = 0; n < batch; ++n) {
        const int64_t begin = n * classes, end = begin + classes;
        const Real largest = *std::max_element(logits + begin, logits + end);
        Real sum = 0, cross_entropy = 0;
        for (int64_t i = begin; i < end; ++i) sum += std::exp(logits[i] - largest);
        for (int64_t i = begin; i < end; ++i) {
            const Real q = (1 - smoothing) * target[i] + smoothing / static_cast<Real>(classes);
            const Real log_p = logits[i] - largest - std::log(sum);
            p[i] = std::exp(log_p);
            cross_entropy -= q * log_p;
            if (!dlogits) continue;
            const Real scale = static_cast<Real>(step_control(op.control).loss_scale);
            dlogits[i] = scale * weight[n] / static_cast<Real>(batch) * (p[i] - q);
        }
        loss[n] = weight[n] * cross_entropy;
    }
}

} // namespace

void run(const SoftmaxLoss<Tensor>& op) {
    with_real(op.logits, [&](auto real) { loss<decltype(real)>(op); });
}

} // namespace scene::reference
