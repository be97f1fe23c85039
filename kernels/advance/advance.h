#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Ends a step: control.cursor += batch always, control.step += steps only if `adam` did not skip the step
/// (control.nonfinite is 0). control U8 [sizeof(StepControl)].
template <class T> struct Advance {
    static constexpr std::string_view name = "advance";
    InOut<T> control;
    uint32_t batch, steps;
};

namespace reference {
void run(const Advance<Tensor>&);
} // namespace reference
namespace cpu {
void run(const Advance<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const Advance<Tensor>&, Context&);
} // namespace cuda

} // namespace scene
