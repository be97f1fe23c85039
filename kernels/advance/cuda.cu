#include "kernels/advance/advance.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/operands.h"

namespace scene::cuda {
namespace {

__global__ void advance(StepControl* control, uint32_t batch, uint32_t steps) {
    control->cursor += batch;
    if (control->nonfinite == 0) control->step += steps;
}

} // namespace

void run(const Advance<Tensor>& op, Context& cuda) {
    launch(advance, dim3(1), dim3(1), 0, cuda.stream, &step_control(op.control), op.batch, op.steps);
}

} // namespace scene::cuda
