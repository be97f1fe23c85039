#include "data/audio/audio_resampler.h"

#include <algorithm>
#include <cmath>

#include <soxr.h>

#include "data/spare_memory.h"
#include "kernels/error.h"

namespace scene {
namespace {

constexpr size_t block_samples = 4096;

} // namespace

AudioResampler::AudioResampler(int from, int to) : from_(from), to_(to) {
    if (from == to) return;
    require_spare_memory();
    block_.resize(block_samples);
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    soxr_error_t error = nullptr;
    soxr_ = soxr_create(from, to, 1, &error, &io, &quality, &runtime);
    if (error) fail("audio cannot be resampled from {} to {} Hz ({})", from, to, error);
}

AudioResampler::~AudioResampler() {
    if (soxr_) soxr_delete(static_cast<soxr_t>(soxr_));
}

/// samples == nullptr: there are no more.
void AudioResampler::process(const float* samples, size_t count, std::vector<float>& out) {
    size_t read = 0, written = 0;
    do {
        size_t taken = 0;
        const soxr_error_t error = soxr_process(static_cast<soxr_t>(soxr_), samples ? samples + read : nullptr,
                                                count - read, &taken, block_.data(), block_.size(), &written);
        if (error) fail("audio cannot be resampled from {} to {} Hz ({})", from_, to_, error);
        read += taken;
        out.insert(out.end(), block_.begin(), block_.begin() + static_cast<std::ptrdiff_t>(written));
        given_ += static_cast<int64_t>(written);
    } while (read < count || written == block_.size());
}

void AudioResampler::add(std::span<const float> samples, std::vector<float>& out) {
    taken_ += static_cast<int64_t>(samples.size());
    if (!soxr_) {
        out.insert(out.end(), samples.begin(), samples.end());
        return;
    }
    for (; !samples.empty(); samples = samples.subspan(std::min(samples.size(), block_samples)))
        process(samples.data(), std::min(samples.size(), block_samples), out);
}

void AudioResampler::finish(std::vector<float>& out) {
    if (!soxr_) return;
    process(nullptr, 0, out);
    const auto wanted = static_cast<int64_t>(std::ceil(static_cast<double>(taken_) * to_ / from_));
    out.resize(out.size() + static_cast<size_t>(std::max<int64_t>(wanted - given_, 0)), 0.0f);
    if (given_ > wanted) out.resize(out.size() - static_cast<size_t>(given_ - wanted));
}

} // namespace scene
