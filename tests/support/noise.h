#pragma once

#include <cstdint>
#include <vector>

namespace scene::test {

/// Uniform in [-0.5, 0.5): the upper 24 bits of x = 1664525 x + 1013904223 mod 2^32, from x = 1 on. The same numbers as
/// `noise` in tools/reference/make_logmel_goldens.py, exactly.
inline std::vector<double> noise(int64_t samples) {
    std::vector<double> wave;
    uint32_t state = 1;
    for (int64_t i = 0; i < samples; ++i) {
        state = 1664525 * state + 1013904223;
        wave.push_back((state >> 8) / 0x1p24 - 0.5);
    }
    return wave;
}

} // namespace scene::test
