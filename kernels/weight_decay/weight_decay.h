#pragma once

#include "kernels/op.h"

namespace scene {

/// Decoupled weight decay, which turns Adam into AdamW (Loshchilov and Hutter, ICLR 2019):
///   parameters *= 1 - control.learning_rate*rate
/// parameters are f32 of any shape. parameters_half, F16 or BF16 of the same shape, gets the rounded copy. In a skipped
/// step (control.nonfinite) both are unchanged.
///
/// Order in the update phase: `adam`, `weight_decay`, `adjust_loss_scale`. `adam` sets control.nonfinite and writes the
/// half copy of the parameters not yet decayed; `adjust_loss_scale` resets control.nonfinite. The paper decays the
/// parameters before Adam's update; here the update is decayed too, a difference of second order in the learning rate.
/// AdamSettings::weight_decay is something else: Adam's L2 term.
template <class T> struct WeightDecay {
    static constexpr std::string_view name = "weight_decay";
    InOut<T> parameters;
    OptionalOut<T> parameters_half{};
    In<T> control;
    float rate;
};

namespace reference {
void run(const WeightDecay<Tensor>&);
}
namespace cpu {
void run(const WeightDecay<Tensor>&, Context&);
}
namespace cuda {
void run(const WeightDecay<Tensor>&, Context&);
}

} // namespace scene
