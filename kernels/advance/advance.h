#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// control.cursor += batch; control.step += steps, unless `adam` skipped the step. control U8 [sizeof(StepControl)].
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
