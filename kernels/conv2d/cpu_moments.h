#pragma once

// Mean and variance of a convolution's output, computed while it is written. Each group of pixels is summed in float,
// relative to the mean of its first few pixels: so nothing cancels where the mean is far from zero. The groups are
// merged in order, in double (Chan, Golub and LeVeque, 1983). They depend on the shape alone, not on the number of
// threads.

#include <cstddef>

#include "kernels/cpu/simd.h"

namespace scene::cpu {

/// Sums of a vector of channels over `count` pixels, relative to `shift`, the mean of the first ones.
struct VectorMoments {
    Vec shift{}, sum{}, squares{};
    int64_t count = 0;

    /// Adds the first `used` lanes of `pixels` vectors, `stride` floats apart. They are summed apart from the rest
    /// first, which keeps the chains of float additions short.
    void add(const float* values, int64_t stride, int64_t pixels, int used) {
        if (count == 0) {
            Vec total{};
            for (int64_t i = 0; i < pixels; ++i) total += load_first(values + i * stride, used);
            shift = total / static_cast<float>(pixels);
        }
        Vec new_sum{}, new_squares{};
        for (int64_t i = 0; i < pixels; ++i) {
            const Vec difference = load_first(values + i * stride, used) - shift;
            new_sum += difference;
            new_squares += difference * difference;
        }
        sum += new_sum;
        squares += new_squares;
        count += pixels;
    }
};

/// Count, mean and sum of squared differences from the mean of every group and channel.
class GroupMoments {
public:
    GroupMoments() = default;
    /// `memory` has bytes(groups, channels) bytes, at a multiple of 8.
    GroupMoments(void* memory, int64_t groups, int64_t channels)
        : values_(static_cast<double*>(memory)), groups_(groups), channels_(channels) {}

    static size_t bytes(int64_t groups, int64_t channels) {
        return static_cast<size_t>(groups * (1 + 2 * channels)) * sizeof(double);
    }
    explicit operator bool() const { return values_ != nullptr; }

    /// Sets the moments of channels first .. first + count - 1 in a group; each of `vectors` has `lanes` of them.
    void set(int64_t group, int64_t first, int64_t count, const VectorMoments* vectors) const;
    /// mean and biased variance [channels] of all groups together.
    void merge(int threads, float* mean, float* variance) const;

private:
    double* values_ = nullptr; ///< [groups][count, mean [channels], squares [channels]]
    int64_t groups_ = 0, channels_ = 0;
};

/// What is applied to a convolution's output while it is in registers or in the cache, in this order.
struct ConvEpilogue {
    const float* bias = nullptr; ///< [K], or null
    bool relu = false;
    float *mean = nullptr, *variance = nullptr; ///< [K]: statistics of the result; both or neither
};

} // namespace scene::cpu
