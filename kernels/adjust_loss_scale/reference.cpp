#include "kernels/adjust_loss_scale/adjust_loss_scale.h"

#include <algorithm>

#include "kernels/reference.h"

namespace scene::reference {

void run(const AdjustLossScale<Tensor>& op) {
    StepControl& control = step_control(op.control);
    const bool skipped = control.nonfinite != 0, at_the_least = control.loss_scale <= op.scaling.least;
    if (skipped && at_the_least) {
        control.good_steps = 0;
    } else if (skipped) {
        control.loss_scale = std::max(control.loss_scale / 2, op.scaling.least);
        control.good_steps = control.nonfinite = 0;
    } else if (control.good_steps + 1 >= op.scaling.patience) {
        control.loss_scale = std::min(control.loss_scale * 2, op.scaling.most);
        control.good_steps = 0;
    } else {
        control.good_steps += 1;
    }
}

} // namespace scene::reference
