#include "kernels/adam/adam.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// Blocks of the search for NaN and Inf: two for each multiprocessor.
constexpr int search_blocks = static_cast<int>(2 * multiprocessors);

/// Factors that are equal for all parameters.
struct StepFactors {
    float step_size, root_scale, unscale;
};

/// What the search leaves for the update.
struct Search {
    StepFactors factors;
    uint32_t broken[search_blocks]; ///< 1 if the block found a NaN or an Inf
};

/// Floats are NaN or Inf if all their exponent bits are set. One thread of the grid computes the factors.
template <int V> __global__ void __launch_bounds__(block_threads)
    find_nonfinite(Search* search, const float* gradients, const StepControl* control, int64_t count,
                   AdamSettings settings) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        const double t = static_cast<double>(control->step) + 1;
        const double correction1 = 1 - pow(static_cast<double>(settings.beta1), t);
        const double correction2 = 1 - pow(static_cast<double>(settings.beta2), t);
        search->factors = {static_cast<float>(static_cast<double>(control->learning_rate) / correction1),
                           static_cast<float>(1 / sqrt(correction2)), 1.0f / control->loss_scale};
    }
    int found = 0;
    for (int64_t i = thread_in_grid() * V; i < count; i += static_cast<int64_t>(search_blocks) * block_threads * V) {
        float g[V];
        load(g, gradients + i);
#pragma unroll
        for (int v = 0; v < V; ++v) found |= (__float_as_uint(g[v]) & 0x7F800000u) == 0x7F800000u;
    }
    found = __syncthreads_or(found);
    if (threadIdx.x == 0) search->broken[blockIdx.x] = static_cast<uint32_t>(found);
}

/// The loads are on their way while the block learns whether the gradients are finite.
template <int V, typename Half> __global__ void __launch_bounds__(block_threads)
    update(float* parameters, float* first_moment, float* second_moment, Half* parameters_half, const float* gradients,
           StepControl* control, const Search* search, int64_t count, AdamSettings settings) {
    const int64_t i = thread_in_grid() * V;
    float w[V], m[V], v[V], g[V];
    if (i < count) {
        load(w, parameters + i);
        load(m, first_moment + i);
        load(v, second_moment + i);
        load(g, gradients + i);
    }
    const StepFactors of_step = search->factors;
    int found = 0;
    for (int block = static_cast<int>(threadIdx.x); block < search_blocks; block += block_threads)
        found |= search->broken[block] != 0;
    if (__syncthreads_or(found)) {
        if (blockIdx.x == 0 && threadIdx.x == 0) control->nonfinite = 1;
        return;
    }
    if (i >= count) return;
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

size_t scratch_bytes(const Adam<TensorSpec>&, const Planning&) { return sizeof(Search); }

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
    auto* search = scratch_of<Search>(op.scratch, sizeof(Search));
    with_pack_width<float>(shape[0], {w, m, v, g, copy.data}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(find_nonfinite<V>, dim3(search_blocks), dim3(block_threads), 0, cuda.stream, search, g, control,
               shape[0], op.settings);
        with_half_width_type(copy ? copy.dtype : DType::F16, [&](auto half_type) {
            using Half = decltype(half_type);
            launch(update<V, Half>, blocks_over(divide_up(shape[0], V)), dim3(block_threads), 0, cuda.stream, w, m, v,
                   static_cast<Half*>(copy.data), g, control, search, shape[0], op.settings);
        });
    });
}

} // namespace scene::cuda
