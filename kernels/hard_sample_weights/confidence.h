#pragma once

// The confidence of a class distribution, one definition for host and device.

#include <cmath>
#include <cstdint>

#include "kernels/host_device.h"

namespace scene {

enum class Confidence : uint8_t {
    MaxSoftmax, ///< the largest probability (paper, section II-C)
    Entropy,    ///< 1 - entropy/log(K), at least 1/K
};

/// The confidence of probabilities p [K], K >= 2. Confidence::Entropy has the lower bound 1/K, the least of MaxSoftmax:
/// a uniform distribution would have confidence 0, and its weight 1/confidence would dominate all others.
SCENE_HOST_DEVICE inline double confidence_of(const float* p, int64_t classes, Confidence measure) {
    double largest = static_cast<double>(p[0]), entropy = 0;
    for (int64_t k = 0; k < classes; ++k) {
        const double value = static_cast<double>(p[k]);
        if (value > largest) largest = value;
        if (measure == Confidence::Entropy && value > 0) entropy -= value * std::log(value);
    }
    if (measure == Confidence::MaxSoftmax) return largest;
    const double count = static_cast<double>(classes), sure = 1 - entropy / std::log(count);
    return sure > 1 / count ? sure : 1 / count;
}

} // namespace scene
