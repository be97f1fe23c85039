#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/philox.h"

namespace scene {

/// `count` values uniform in [low, high).
inline std::vector<float> random_values(int64_t count, float low, float high, uint64_t seed) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = low + (high - low) * uniform_of(random_word(seed, 0, 0, i));
    return values;
}

} // namespace scene
