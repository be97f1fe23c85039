#include "kernels/weight_decay/weight_decay.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/half_width.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const WeightDecay<Tensor>& op, Context& cpu) {
    const Shape& shape = op.parameters.shape;
    float* w = floats(op.parameters, shape, "parameters");
    const Tensor& copy = op.parameters_half;
    if (copy) check_half_width(copy, shape, "parameters_half");
    const StepControl& step = step_control(op.control);
    if (step.nonfinite) return;
    const float decay = step.learning_rate * op.rate; // w *= 1 - decay would round a small decay away
    for_chunks(cpu.threads, shape.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) w[i] -= decay * w[i];
        if (!copy) return;
        with_half_width(copy.dtype, [&](auto type) {
            using Half = decltype(type);
            for (int64_t i = begin; i < end; ++i) static_cast<Half*>(copy.data)[i] = static_cast<Half>(w[i]);
        });
    });
}

} // namespace scene::cpu
