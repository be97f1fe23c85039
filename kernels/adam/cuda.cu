#include "kernels/adam/adam.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// Blocks of the search for NaN and Inf: two for each multiprocessor.
constexpr int search_blocks = static_cast<int>(2 * multiprocessors);
/// One flag for each of them.
constexpr size_t broken_bytes = search_blocks * sizeof(uint32_t);

/// broken [search_blocks] = 1 if the block found a NaN or an Inf, the floats whose exponent bits are all set.
template <int V> __global__ void __launch_bounds__(block_threads)
    find_nonfinite(uint32_t* broken, const float* gradients, int64_t count) {
    int found = 0;
    for (int64_t i = thread_in_grid() * V; i < count; i += static_cast<int64_t>(search_blocks) * block_threads * V) {
        float g[V];
        load(g, gradients + i);
#pragma unroll
        for (int v = 0; v < V; ++v) found |= (__float_as_uint(g[v]) & 0x7F800000u) == 0x7F800000u;
    }
    found = __syncthreads_or(found);
    if (threadIdx.x == 0) broken[blockIdx.x] = static_cast<uint32_t>(found);
}

/// Factors that are equal for all parameters. One thread of each block computes them.
struct StepFactors {
    float step_size, root_scale, unscale;
};

template <int V, typename Half> __global__ void __launch_bounds__(block_threads)
    update(float* parameters, float* first_moment, float* second_moment, Half* parameters_half, const float* gradients,
           StepControl* control, const uint32_t* broken, int64_t count, AdamSettings settings) {
    StepFactors* factors = dynamic_shared<StepFactors>();
    int found = 0;
    for (int i = static_cast<int>(threadIdx.x); i < search_blocks; i += block_threads) found |= broken[i] != 0;
    if (threadIdx.x == 0) {
        const double t = static_cast<double>(control->step) + 1;
        const double correction1 = 1 - pow(static_cast<double>(settings.beta1), t);
        const double correction2 = 1 - pow(static_cast<double>(settings.beta2), t);
        *factors = {static_cast<float>(static_cast<double>(control->learning_rate) / correction1),
                    static_cast<float>(1 / sqrt(correction2)), 1.0f / control->loss_scale};
    }
    if (__syncthreads_or(found)) {
        if (blockIdx.x == 0 && threadIdx.x == 0) control->nonfinite = 1;
        return;
    }
    const StepFactors of_step = *factors;
    const int64_t i = thread_in_grid() * V;
    if (i >= count) return;
    float w[V], m[V], v[V], g[V];
    load(w, parameters + i);
    load(m, first_moment + i);
    load(v, second_moment + i);
    load(g, gradients + i);
#pragma unroll
    for (int k = 0; k < V; ++k) {
        const float gradient = g[k] * of_step.unscale + settings.weight_decay * w[k];
        m[k] = settings.beta1 * m[k] + (1 - settings.beta1) * gradient;
        v[k] = settings.beta2 * v[k] + (1 - settings.beta2) * gradient * gradient;
        w[k] -= of_step.step_size * m[k] / (sqrtf(v[k]) * of_step.root_scale + settings.epsilon);
    }
    store(parameters + i, w);
    store(first_moment + i, m);
    store(second_moment + i, v);
    if (parameters_half) store(parameters_half + i, w);
}

} // namespace

size_t scratch_bytes(const Adam<TensorSpec>&, const Planning&) { return broken_bytes; }

void run(const Adam<Tensor>& op, Context& cuda) {
    check_rank(op.parameters, 1, "parameters");
    const Shape& shape = op.parameters.shape;
    float* w = floats(op.parameters, shape, "parameters");
    float* m = floats(op.first_moment, shape, "first_moment");
    float* v = floats(op.second_moment, shape, "second_moment");
    const float* g = floats(op.gradients, shape, "gradients");
    const Tensor& copy = op.parameters_half;
    if (copy) check_half_width(copy, shape, "parameters_half");
    StepControl* control = &step_control(op.control);
    auto* broken = scratch_of<uint32_t>(op.scratch, broken_bytes);
    with_pack_width<float>(shape[0], {w, m, v, g, copy.data}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(find_nonfinite<V>, dim3(search_blocks), dim3(block_threads), 0, cuda.stream, broken, g, shape[0]);
        with_half_width_type(copy ? copy.dtype : DType::F16, [&](auto half_type) {
            using Half = decltype(half_type);
            launch(update<V, Half>, blocks_over(divide_up(shape[0], V)), dim3(block_threads), sizeof(StepFactors),
                   cuda.stream, w, m, v, static_cast<Half*>(copy.data), g, control, broken, shape[0], op.settings);
        });
    });
}

} // namespace scene::cuda
