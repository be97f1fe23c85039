#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace scene::cpu {

/// p [K] = softmax(logits [K]). Returns L = log(sum_k exp(logits_k)), so that log p_k = logits_k - L.
inline double softmax_row(float* p, const float* logits, int64_t classes) {
    const double largest = static_cast<double>(*std::max_element(logits, logits + classes));
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(logits[k]) - largest);
    const double log_sum = largest + std::log(sum);
    for (int64_t k = 0; k < classes; ++k) p[k] = static_cast<float>(std::exp(static_cast<double>(logits[k]) - log_sum));
    return log_sum;
}

} // namespace scene::cpu
