#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/philox.h"

namespace scene {

/// The random words of one (seed, stream, step) in order (kernels/philox.h), for code that draws a varying number.
class RandomSequence {
public:
    RandomSequence(uint64_t seed, uint32_t stream, uint32_t step = 0) : seed_(seed), stream_(stream), step_(step) {}

    uint32_t next() {
        if (used_ == 4) {
            block_ = random_block(seed_, stream_, step_, count_++);
            used_ = 0;
        }
        return block_.word[used_++];
    }
    /// Uniform in [0, n), n >= 1.
    uint32_t below(uint32_t n) { return static_cast<uint32_t>((static_cast<uint64_t>(next()) * n) >> 32); }
    float uniform() { return uniform_of(next()); }
    float uniform(float low, float high) { return low + (high - low) * uniform(); }

private:
    uint64_t seed_;
    uint32_t stream_, step_;
    uint64_t count_ = 0;
    PhiloxBlock block_{};
    int used_ = 4;
};

/// Fisher-Yates.
template <typename T> void shuffle(std::vector<T>& values, RandomSequence& random) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(static_cast<uint32_t>(i))]);
}

} // namespace scene
