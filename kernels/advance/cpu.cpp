#include "kernels/advance/advance.h"

#include "kernels/cpu/context.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const Advance<Tensor>& op, Context&) {
    StepControl& control = step_control(op.control);
    control.cursor += op.batch;
    if (control.nonfinite == 0) control.step += op.steps;
}

} // namespace scene::cpu
