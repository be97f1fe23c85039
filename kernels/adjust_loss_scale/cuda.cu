#include "kernels/adjust_loss_scale/adjust_loss_scale.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

__global__ void rescale(StepControl* control, LossScaling scaling) {
    if (control->nonfinite) {
        control->good_steps = 0;
        if (control->loss_scale <= scaling.least) return;
        const float halved = control->loss_scale / 2;
        control->loss_scale = halved > scaling.least ? halved : scaling.least;
        control->nonfinite = 0;
    } else if (++control->good_steps >= scaling.patience) {
        const float doubled = control->loss_scale * 2;
        control->good_steps = 0;
        control->loss_scale = doubled < scaling.most ? doubled : scaling.most;
    }
}

} // namespace

void run(const AdjustLossScale<Tensor>& op, Context& cuda) {
    launch(rescale, dim3(1), dim3(1), 0, cuda.stream, &step_control(op.control), op.scaling);
}

} // namespace scene::cuda
