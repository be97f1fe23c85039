#pragma once

#include <cstdint>
#include <vector>

namespace scene::test {

/// Uniform in [-0.5, 0.5): the upper 24 bits of the generator x = 1664525 x + 1013904223 mod 2^32, seeded with 1.
/// Exactly the numbers of `noise` in tools/reference/make_logmel_goldens.py.
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
