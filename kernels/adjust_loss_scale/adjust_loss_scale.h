#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Dynamic loss scaling (Micikevicius et al., ICLR 2018), after `adam` and `advance`. A skipped step
/// (control.nonfinite) halves control.loss_scale, down to scaling.least, and is forgotten: control.nonfinite = 0. At
/// the least scale already it is not forgotten. scaling.patience good steps in a row double the scale, up to
/// scaling.most.
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
