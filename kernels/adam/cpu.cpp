#include "kernels/adam/adam.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/half_width.h"

namespace scene::cpu {
namespace {

/// NaN and Inf are the floats whose exponent bits are all set.
bool all_finite(const float* values, int64_t count) {
    constexpr uint32_t exponent = 0x7F800000u;
    uint32_t nonfinite = 0;
#pragma omp simd reduction(| : nonfinite)
    for (int64_t i = 0; i < count; ++i)
        nonfinite |= static_cast<uint32_t>((std::bit_cast<uint32_t>(values[i]) & exponent) == exponent);
    return nonfinite == 0;
}

} // namespace

void run(const Adam<Tensor>& op, Context& cpu) {
    check_rank(op.parameters, 1, "parameters");
    const Shape& shape = op.parameters.shape;
    const int64_t count = shape[0];
    float* w = floats(op.parameters, shape, "parameters");
    float* m = floats(op.first_moment, shape, "first_moment");
    float* v = floats(op.second_moment, shape, "second_moment");
    const float* g = floats(op.gradients, shape, "gradients");
    const Tensor& copy = op.parameters_half;
    if (copy) check_half_width(copy, shape, "parameters_half");
    StepControl& step = step_control(op.control);

    constexpr int64_t grain = 65536;
    int broken = 0;
    const int64_t chunks = (count + grain - 1) / grain;
#pragma omp parallel for num_threads(cpu.threads) schedule(dynamic) reduction(| : broken)
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
        broken |= !all_finite(g + chunk * grain, std::min(grain, count - chunk * grain));
    if (broken != 0) {
        step.nonfinite = 1;
        return;
    }

    const double t = static_cast<double>(step.step) + 1;
    const float beta1 = op.settings.beta1, beta2 = op.settings.beta2;
    const double correction1 = 1 - std::pow(static_cast<double>(beta1), t);
    const double correction2 = 1 - std::pow(static_cast<double>(beta2), t);
    const float step_size = static_cast<float>(static_cast<double>(step.learning_rate) / correction1);
    const float root_scale = static_cast<float>(1 / std::sqrt(correction2));
    const float unscale = 1.0f / step.loss_scale, decay = op.settings.weight_decay, epsilon = op.settings.epsilon;
    for_chunks(cpu.threads, count, grain, [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) {
            const float gradient = g[i] * unscale + decay * w[i];
            m[i] = beta1 * m[i] + (1 - beta1) * gradient;
            v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
            w[i] -= step_size * m[i] / (std::sqrt(v[i]) * root_scale + epsilon);
        }
        if (!copy) return;
        with_half_width(copy.dtype, [&](auto type) {
            using Half = decltype(type);
            for (int64_t i = begin; i < end; ++i) static_cast<Half*>(copy.data)[i] = static_cast<Half>(w[i]);
        });
    });
}

} // namespace scene::cpu
