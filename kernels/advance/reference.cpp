#include "kernels/advance/advance.h"

#include "kernels/reference.h"

namespace scene::reference {

void run(const Advance<Tensor>& op) {
    StepControl& control = step_control(op.control);
    control.cursor += op.batch;
    if (control.nonfinite == 0) control.step += op.steps;
}

} // namespace scene::reference
