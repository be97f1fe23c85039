#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace scene {

/// Resamples one channel block by block with soxr's HQ recipe. The whole output equals soxr_oneshot's bit for bit.
class AudioResampler {
public:
    /// From `from` to `to` Hz; equal rates copy. Throws std::bad_alloc if memory is short: soxr does not check its own
    /// allocations (data/store/spare_memory.h). Error: soxr refuses the rates.
    AudioResampler(int from, int to);
    ~AudioResampler();
    AudioResampler(const AudioResampler&) = delete;
    AudioResampler& operator=(const AudioResampler&) = delete;

    /// Appends to `out` the output that the samples so far complete.
    void add(std::span<const float> samples, std::vector<float>& out);
    /// Appends the rest. In all, ceil(samples * to / from) samples have been appended.
    void finish(std::vector<float>& out);

private:
    void process(const float* samples, size_t count, std::vector<float>& out);

    int from_, to_;
    void* soxr_ = nullptr; ///< null where the rates are equal
    int64_t taken_ = 0, given_ = 0;
    std::vector<float> block_;
};

} // namespace scene
