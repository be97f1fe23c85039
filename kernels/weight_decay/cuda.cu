#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/weight_decay/weight_decay.h"

namespace scene::cuda {
namespace {

/// One thread for V parameters.
template <int V, typename Half> __global__ void __launch_bounds__(block_threads)
    decay_weights(float* parameters, Half* parameters_half, const StepControl* control, int64_t count, float rate) {
    const int64_t i = thread_in_grid() * V;
    if (control->nonfinite || i >= count) return;
    const float decay = control->learning_rate * rate; // w *= 1 - decay would round a small decay away
    float w[V];
    load(w, parameters + i);
#pragma unroll
    for (int v = 0; v < V; ++v) w[v] -= decay * w[v];
    store(parameters + i, w);
    if (parameters_half) store(parameters_half + i, w);
}

} // namespace

void run(const WeightDecay<Tensor>& op, Context& cuda) {
    const Shape& shape = op.parameters.shape;
    const int64_t count = shape.elements();
    float* w = floats(op.parameters, shape, "parameters");
    const Tensor& copy = op.parameters_half;
    if (copy) check_half_width(copy, shape, "parameters_half");
    const StepControl* control = &step_control(op.control);
    with_pack_width<float>(count, {w, copy.data}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        with_half_width_type(copy ? copy.dtype : DType::F16, [&](auto half_type) {
            using Half = decltype(half_type);
            launch(decay_weights<V, Half>, blocks_over(divide_up(count, V)), dim3(block_threads), 0, cuda.stream, w,
                   static_cast<Half*>(copy.data), control, count, op.rate);
        });
    });
}

} // namespace scene::cuda
