#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include <cuda_runtime.h>

#include "kernels/tensor.h"

namespace scene::cuda {

/// Division by a number that is the same for a whole kernel, as a multiplication and a shift: a device has no
/// instruction that divides integers. Exact for 0 <= n < 2^31 (Granlund and Montgomery, PLDI 1994).
struct Divisor {
    int divisor;
    uint32_t factor;
    int shift;

    explicit Divisor(int64_t d) : divisor(static_cast<int>(d)), factor(0), shift(0) {
        SCENE_CHECK(d > 0 && d < int64_t{1} << 31, "division by " + std::to_string(d));
        shift = std::bit_width(static_cast<uint32_t>(d) - 1); // ceil(log2 d)
        factor = static_cast<uint32_t>(
            ((uint64_t{1} << 32) * ((uint64_t{1} << shift) - static_cast<uint64_t>(d))) / static_cast<uint64_t>(d) + 1);
    }
    /// n / divisor, rounded down.
    __device__ int divide(int n) const {
        const auto high = static_cast<uint32_t>((static_cast<uint64_t>(static_cast<uint32_t>(n)) * factor) >> 32);
        return static_cast<int>((high + static_cast<uint32_t>(n)) >> shift);
    }
    /// n % divisor, from the quotient.
    __device__ int rest(int n, int quotient) const { return n - quotient * divisor; }
};

} // namespace scene::cuda
