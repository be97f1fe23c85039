#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

#include <algorithm>
#include <cmath>

namespace scene::cpu {
namespace {

/// p = softmax(logits) over K classes; returns log of the sum of exponentials, so that log p_k = logits_k - it.
double softmax_row(float* p, const float* logits, int64_t classes) {
    const double largest = static_cast<double>(*std::max_element(logits, logits + classes));
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(logits[k]) - largest);
    const double log_sum = largest + std::log(sum);
    for (int64_t k = 0; k < classes; ++k) p[k] = static_cast<float>(std::exp(static_cast<double>(logits[k]) - log_sum));
    return log_sum;
}

} // namespace

void CpuBackend::softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target,
                              Tensor weight, float smoothing, Tensor control) {
    check_rank(logits, 2, "logits");
    const Shape shape = logits.shape;
    const int64_t batch = shape[0], classes = shape[1];
    const float* in = floats(logits, shape, "logits");
    const float* truth = floats(target, shape, "target");
    const float* clip_weight = floats(weight, {batch}, "weight");
    float* p = floats(probabilities, shape, "probabilities");
    float* out_loss = floats(loss, {batch}, "loss");
    float* gradient = optional_floats(dlogits, shape, "dlogits");
    const float gradient_scale = gradient ? step_control(control).loss_scale / static_cast<float>(batch) : 0.0f;
    const float floor = smoothing / static_cast<float>(classes);
    for (int64_t n = 0; n < batch; ++n) {
        const int64_t row = n * classes;
        const double log_sum = softmax_row(p + row, in + row, classes);
        double cross_entropy = 0;
        for (int64_t k = row; k < row + classes; ++k) {
            const float q = (1 - smoothing) * truth[k] + floor;
            cross_entropy -= static_cast<double>(q) * (static_cast<double>(in[k]) - log_sum);
            if (gradient) gradient[k] = gradient_scale * clip_weight[n] * (p[k] - q);
        }
        out_loss[n] = static_cast<float>(static_cast<double>(clip_weight[n]) * cross_entropy);
    }
}

void CpuBackend::softmax(Tensor probabilities, Tensor logits) {
    check_rank(logits, 2, "logits");
    const int64_t batch = logits.shape[0], classes = logits.shape[1];
    const float* in = floats(logits, logits.shape, "logits");
    float* p = floats(probabilities, logits.shape, "probabilities");
    for (int64_t n = 0; n < batch; ++n) softmax_row(p + n * classes, in + n * classes, classes);
}

} // namespace scene::cpu
