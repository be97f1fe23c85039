#include "kernels/adjust_loss_scale/adjust_loss_scale.h"

#include <algorithm>

#include "kernels/cpu/context.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const AdjustLossScale<Tensor>& op, Context&) {
    StepControl& step = step_control(op.control);
    if (step.nonfinite) {
        step.good_steps = 0;
        if (step.loss_scale <= op.scaling.least) return;
        step.loss_scale = std::max(step.loss_scale / 2, op.scaling.least);
        step.nonfinite = 0;
    } else if (++step.good_steps >= op.scaling.patience) {
        step.good_steps = 0;
        step.loss_scale = std::min(step.loss_scale * 2, op.scaling.most);
    }
}

} // namespace scene::cpu
