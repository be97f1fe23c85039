#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Dynamic loss scaling (Micikevicius et al., ICLR 2018). Comes after `adam` and `advance` in a step, since it clears
/// the flag that they use. control U8 [sizeof(StepControl)].
/// - After a skipped step (control.nonfinite is set): loss_scale is halved, but not below scaling.least, and nonfinite
///   is cleared. At scaling.least nonfinite stays set: the gradient is broken, not just too large for the scale.
/// - After scaling.patience good steps in a row: loss_scale is doubled, but not above scaling.most.
template <class T> struct AdjustLossScale {
    static constexpr std::string_view name = "adjust_loss_scale";
    InOut<T> control;
    LossScaling scaling{};
};

namespace reference {
void run(const AdjustLossScale<Tensor>&);
}
namespace cpu {
void run(const AdjustLossScale<Tensor>&, Context&);
}
namespace cuda {
void run(const AdjustLossScale<Tensor>&, Context&);
}

} // namespace scene
