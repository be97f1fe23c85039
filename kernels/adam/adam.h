#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Adam (Kingma and Ba, 2015) over flat f32 buffers, t = control.step + 1, gradient divided by control.loss_scale;
/// parameters_half (F16) gets the rounded copy. A gradient that is not finite sets control.nonfinite and leaves
/// everything else as it was.
template <class T> struct Adam {
    static constexpr std::string_view name = "adam";
    InOut<T> parameters, first_moment, second_moment;
    OptionalOut<T> parameters_half{};
    In<T> gradients;
    InOut<T> control;
    Scratch<T> scratch{};
    AdamSettings settings;

    /// One pass over the gradients looks for what is not finite, one uses them.
    double bytes() const {
        return static_cast<double>(2 * (parameters.bytes() + first_moment.bytes() + second_moment.bytes() +
                                        gradients.bytes() + control.bytes()) +
                                   parameters_half.bytes());
    }
};

} // namespace scene
