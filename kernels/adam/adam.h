#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// One step of Adam (Kingma and Ba, ICLR 2015) over flat f32 buffers [M]. With t = control.step + 1:
///   g = gradients/control.loss_scale + settings.weight_decay*parameters
///   first_moment = beta1*first_moment + (1 - beta1)*g
///   second_moment = beta2*second_moment + (1 - beta2)*g^2
///   parameters -= control.learning_rate*(first_moment/(1 - beta1^t))/(sqrt(second_moment/(1 - beta2^t)) + epsilon)
/// parameters_half, F16 or BF16 [M], = the new parameters, rounded to nearest. If any gradient is NaN or Inf the step
/// is skipped: control.nonfinite becomes 1 and nothing else changes.
template <class T> struct Adam {
    static constexpr std::string_view name = "adam";
    InOut<T> parameters, first_moment, second_moment;
    OptionalOut<T> parameters_half{};
    In<T> gradients;
    InOut<T> control;
    Scratch<T> scratch{};
    AdamSettings settings;

    /// Parameters and moments are read and written. Gradients are read twice: by the search for NaN and Inf, and by the
    /// update.
    double bytes() const {
        return static_cast<double>(2 * (parameters.bytes() + first_moment.bytes() + second_moment.bytes() +
                                        gradients.bytes() + control.bytes()) +
                                   parameters_half.bytes());
    }
};

namespace reference {
void run(const Adam<Tensor>&);
}
namespace cpu {
void run(const Adam<Tensor>&, Context&);
}
namespace cuda {
void run(const Adam<Tensor>&, Context&);
size_t scratch_bytes(const Adam<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene
