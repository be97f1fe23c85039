#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// After `adam` and `advance`: a skipped step halves control.loss_scale and is forgotten (control.nonfinite = 0),
/// unless the scale is the least already; `patience` good steps in a row double it. Micikevicius et al., ICLR 2018.
template <class T> struct AdjustLossScale {
    static constexpr std::string_view name = "adjust_loss_scale";
    InOut<T> control;
    LossScaling scaling{};
};

} // namespace scene
