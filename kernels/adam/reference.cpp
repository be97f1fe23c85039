#include "kernels/adam/adam.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void adam(const Adam<Tensor>& op) {
    const int64_t count = op.parameters.shape[0];
    const Real* gradients = values<Real>(op.gradients);
    Real *w = values<Real>(op.parameters), *half = values<Real>(op.parameters_half);
    Real *m = values<Real>(op.first_moment), *v = values<Real>(op.second_moment);
    StepControl& control = step_control(op.control);
    if (!std::all_of(gradients, gradients + count, [](Real gradient) { return std::isfinite(gradient); })) {
        control.nonfinite = 1;
        return;
    }
    const Real beta1 = static_cast<Real>(op.settings.beta1), beta2 = static_cast<Real>(op.settings.beta2);
    const Real epsilon = static_cast<Real>(op.settings.epsilon);
    const Real decay = static_cast<Real>(op.settings.weight_decay);
    const Real learning_rate = static_cast<Real>(control.learning_rate), t = static_cast<Real>(control.step) + 1;
    const Real correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
    for (int64_t i = 0; i < count; ++i) {
        const Real g = gradients[i] / static_cast<Real>(control.loss_scale) + decay * w[i];
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        const Real m_hat = m[i] / correction1, v_hat = v[i] / correction2;
        w[i] -= learning_rate * m_hat / (std::sqrt(v_hat) + epsilon);
        if (half) half[i] = w[i];
    }
}

} // namespace

void run(const Adam<Tensor>& op) {
    with_real(op.parameters, [&](auto real) { adam<decltype(real)>(op); });
}

} // namespace scene::reference
