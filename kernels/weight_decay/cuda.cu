#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/weight_decay/weight_decay.h"

namespace scene::cuda {
namespace {

/// One thread for V parameters.
template <int V> __global__ void __launch_bounds__(block_threads)
    decay_weights(float* parameters, half* parameters_half, const StepControl* control, int64_t count, float rate) {
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
    if (op.parameters_half) check_tensor(op.parameters_half, DType::F16, shape, "parameters_half");
    auto* w_half = static_cast<half*>(op.parameters_half.data);
    const StepControl* control = &step_control(op.control);
    with_pack_width<float>(count, {w, w_half}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(decay_weights<V>, blocks_over(divide_up(count, V)), dim3(block_threads), 0, cuda.stream, w, w_half,
               control, count, op.rate);
    });
}

} // namespace scene::cuda
