#pragma once

// Mean and variance of a convolution's output while it is written: sums of groups of pixels in single precision about
// a mean of a few of them, so that nothing cancels however far the mean lies from zero, and the groups merged in their
// order in double precision (Chan, Golub and LeVeque, 1983). Groups are cut by the shape alone.

#include <cstddef>

#include "kernels/cpu/simd.h"

namespace scene::cpu {

/// Of one vector of channels, about the mean of the first values.
struct VectorMoments {
    Vec shift{}, sum{}, squares{};
    int64_t count = 0;

    /// `pixels` values, `stride` floats apart, the first `used` lanes of each. They are summed on their own first, so
    /// that chains of additions stay short.
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

    /// The moments of the channels first .. first + count - 1, lanes of them in each of `vectors`.
    void set(int64_t group, int64_t first, int64_t count, const VectorMoments* vectors) const;
    /// mean, variance (biased) [channels] of all groups together.
    void merge(int threads, float* mean, float* variance) const;

private:
    double* values_ = nullptr; ///< [groups][count, mean [channels], squares [channels]]
    int64_t groups_ = 0, channels_ = 0;
};

/// What follows a convolution while its output is in registers.
struct ConvEpilogue {
    const float* bias = nullptr; ///< y + bias
    bool relu = false;           ///< then relu
    float* mean = nullptr;       ///< then statistics; both or neither
    float* variance = nullptr;
};

} // namespace scene::cpu
