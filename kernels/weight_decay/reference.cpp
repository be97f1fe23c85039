#include "kernels/weight_decay/weight_decay.h"

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void decay(const WeightDecay<Tensor>& op) {
    Real *w = values<Real>(op.parameters), *half = values<Real>(op.parameters_half);
    const StepControl& control = step_control(op.control);
    if (control.nonfinite) return;
    for (int64_t i = 0; i < op.parameters.elements(); ++i) {
        w[i] *= 1 - static_cast<Real>(control.learning_rate) * static_cast<Real>(op.rate);
        if (half) half[i] = w[i];
    }
}

} // namespace

void run(const WeightDecay<Tensor>& op) {
    with_real(op.parameters, [&](auto real) { decay<decltype(real)>(op); });
}

} // namespace scene::reference
