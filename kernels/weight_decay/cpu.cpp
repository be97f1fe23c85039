#include "kernels/weight_decay/weight_decay.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const WeightDecay<Tensor>& op, Context& cpu) {
    const Shape& shape = op.parameters.shape;
    float* w = floats(op.parameters, shape, "parameters");
    if (op.parameters_half) check_tensor(op.parameters_half, DType::F16, shape, "parameters_half");
    auto* half = static_cast<_Float16*>(op.parameters_half.data);
    const StepControl& step = step_control(op.control);
    if (step.nonfinite) return;
    const float decay = step.learning_rate * op.rate; // w *= 1 - decay would round a small decay away
    for_chunks(cpu.threads, shape.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) w[i] -= decay * w[i];
        if (half) {
            for (int64_t i = begin; i < end; ++i) half[i] = static_cast<_Float16>(w[i]);
        }
    });
}

} // namespace scene::cpu
