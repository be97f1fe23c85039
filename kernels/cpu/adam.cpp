#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace scene::cpu {
namespace {

/// A value is not finite when all bits of its exponent are set.
bool all_finite(const float* values, int64_t count) {
    constexpr uint32_t exponent = 0x7F800000u;
    uint32_t nonfinite = 0;
#pragma omp simd reduction(| : nonfinite)
    for (int64_t i = 0; i < count; ++i)
        nonfinite |= static_cast<uint32_t>((std::bit_cast<uint32_t>(values[i]) & exponent) == exponent);
    return nonfinite == 0;
}

} // namespace

void CpuBackend::adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor parameters_half,
                      Tensor gradients, Tensor control, const AdamSettings& settings) {
    check_rank(parameters, 1, "parameters");
    const Shape shape = parameters.shape;
    const int64_t count = shape[0];
    float* w = floats(parameters, shape, "parameters");
    float* m = floats(first_moment, shape, "first_moment");
    float* v = floats(second_moment, shape, "second_moment");
    const float* g = floats(gradients, shape, "gradients");
    if (parameters_half) check_tensor(parameters_half, DType::F16, shape, "parameters_half");
    auto* half = static_cast<_Float16*>(parameters_half.data);
    StepControl& step = step_control(control);

    constexpr int64_t grain = 65536;
    int broken = 0;
    const int64_t pieces = (count + grain - 1) / grain;
#pragma omp parallel for num_threads(threads_) schedule(dynamic) reduction(| : broken)
    for (int64_t piece = 0; piece < pieces; ++piece)
        broken |= !all_finite(g + piece * grain, std::min(grain, count - piece * grain));
    if (broken != 0) {
        step.nonfinite = 1;
        return;
    }

    const double t = static_cast<double>(step.step) + 1;
    const float beta1 = settings.beta1, beta2 = settings.beta2;
    const double correction1 = 1 - std::pow(static_cast<double>(beta1), t);
    const double correction2 = 1 - std::pow(static_cast<double>(beta2), t);
    const float step_size = static_cast<float>(static_cast<double>(step.learning_rate) / correction1);
    const float root_scale = static_cast<float>(1 / std::sqrt(correction2));
    const float unscale = 1.0f / step.loss_scale, decay = settings.weight_decay, epsilon = settings.epsilon;
    for_pieces(threads_, count, grain, [&](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) {
            const float gradient = g[i] * unscale + decay * w[i];
            m[i] = beta1 * m[i] + (1 - beta1) * gradient;
            v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
            w[i] -= step_size * m[i] / (std::sqrt(v[i]) * root_scale + epsilon);
        }
        if (half) {
            for (int64_t i = begin; i < end; ++i) half[i] = static_cast<_Float16>(w[i]);
        }
    });
}

void CpuBackend::adjust_loss_scale(Tensor control, const LossScaling& scaling) {
    StepControl& step = step_control(control);
    if (step.nonfinite) {
        step.good_steps = 0;
        if (step.loss_scale <= scaling.least) return;
        step.loss_scale = std::max(step.loss_scale / 2, scaling.least);
        step.nonfinite = 0;
    } else if (++step.good_steps >= scaling.patience) {
        step.good_steps = 0;
        step.loss_scale = std::min(step.loss_scale * 2, scaling.most);
    }
}

} // namespace scene::cpu
