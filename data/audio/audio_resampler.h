#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace scene {

/// Resamples one channel block by block with soxr's HQ recipe. All of it is, bit for bit, what soxr_oneshot gives.
class AudioResampler {
public:
    /// std::bad_alloc where there is not the memory that soxr takes: it does not ask whether it got what it asked for.
    AudioResampler(int from, int to);
    ~AudioResampler();
    AudioResampler(const AudioResampler&) = delete;
    AudioResampler& operator=(const AudioResampler&) = delete;

    /// Appends to `out` what the samples so far give.
    void add(std::span<const float> samples, std::vector<float>& out);
    /// Appends the rest: ceil(samples * to / from) in all.
    void finish(std::vector<float>& out);

private:
    void process(const float* samples, size_t count, std::vector<float>& out);

    int from_, to_;
    void* soxr_ = nullptr; ///< none where the rates are equal
    int64_t taken_ = 0, given_ = 0;
    std::vector<float> block_;
};

} // namespace scene
