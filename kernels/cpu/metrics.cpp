#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

#include <algorithm>

namespace scene::cpu {

void CpuBackend::accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities,
                                    Tensor target) {
    check_rank(probabilities, 2, "probabilities");
    const int64_t batch = probabilities.shape[0], classes = probabilities.shape[1];
    double* sum = operand<double>(loss_sum, {1}, "loss_sum");
    int32_t* counts = operand<int32_t>(confusion, {classes, classes}, "confusion");
    const float* losses = floats(loss, {batch}, "loss");
    const float* p = floats(probabilities, probabilities.shape, "probabilities");
    const float* truth = floats(target, probabilities.shape, "target");
    for (int64_t n = 0; n < batch; ++n) {
        *sum += static_cast<double>(losses[n]);
        const float* t = truth + n * classes;
        const float* q = p + n * classes;
        const float* label = std::max_element(t, t + classes);
        if (*label > 0) ++counts[(label - t) * classes + (std::max_element(q, q + classes) - q)];
    }
}

void CpuBackend::hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure) {
    check_rank(probabilities, 2, "probabilities");
    const int64_t rows = probabilities.shape[0], classes = probabilities.shape[1];
    float* out = floats(weight, {rows}, "weight");
    const float* p = floats(probabilities, probabilities.shape, "probabilities");
    const int32_t* is_member = operand<int32_t>(member, {rows}, "member");
    double sum = 0;
    int64_t members = 0;
    for (int64_t r = 0; r < rows; ++r) {
        out[r] = 1;
        if (is_member[r] == 0) continue;
        out[r] = static_cast<float>(1.0 / (confidence_of(p + r * classes, classes, measure) + 1e-8));
        sum += static_cast<double>(out[r]);
        ++members;
    }
    const double scale = static_cast<double>(members) / sum;
    for (int64_t r = 0; r < rows; ++r) {
        if (is_member[r] != 0) out[r] = static_cast<float>(static_cast<double>(out[r]) * scale);
    }
}

} // namespace scene::cpu
