#include "data/audio/audio.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>

#include "data/audio/audio_decoder.h"
#include "data/audio/audio_resampler.h"
#include "kernels/error.h"
#include "kernels/files/atomic_file.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

void put_little_endian(std::string& bytes, uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

} // namespace

Recording read_recording(const fs::path& file, int sample_rate, int64_t most_samples) {
    SCENE_CHECK(sample_rate > 0 && most_samples > 0, "a sample rate and a length");
    try {
        AudioDecoder decoder(file);
        AudioResampler resampler(decoder.info().sample_rate, sample_rate);
        const double ratio = static_cast<double>(sample_rate) / decoder.info().sample_rate;
        const int64_t needed = most_samples == all_samples
                                   ? AudioDecoder::all_frames
                                   : static_cast<int64_t>(std::ceil(static_cast<double>(most_samples) / ratio));
        // Rounding to the file's rate may give one sample more than asked for.
        const int64_t heard = most_samples == all_samples ? all_samples : most_samples + 1;
        Recording recording;
        std::vector<float>& wave = recording.wave;
        if (most_samples != all_samples) wave.reserve(static_cast<size_t>(std::min<int64_t>(most_samples, 1 << 24)));
        while (static_cast<int64_t>(wave.size()) <= heard) {
            const std::span<const float> block = decoder.next(needed);
            if (block.empty()) {
                resampler.finish(wave);
                break;
            }
            resampler.add(block, wave);
        }
        recording.longer = static_cast<int64_t>(wave.size()) > heard;
        recording.ends_early = decoder.ends_early();
        if (static_cast<int64_t>(wave.size()) > most_samples) wave.resize(static_cast<size_t>(most_samples));
        return recording;
    } catch (const std::bad_alloc&) {
        fail("{}: needs more memory than there is; use fewer --threads or a shorter file", file.string());
    }
}

std::vector<float> read_mono(const fs::path& file, int sample_rate) { return read_recording(file, sample_rate).wave; }

AudioInfo audio_info(const fs::path& file) { return AudioDecoder(file).info(); }

std::string_view name_of(FitRule rule) { return rule == FitRule::Loop ? "loop" : "zero"; }

FitRule fit_rule_from_name(std::string_view name) {
    for (FitRule rule : {FitRule::Loop, FitRule::Zero}) {
        if (name == name_of(rule)) return rule;
    }
    fail("'{}' is no rule for short clips; use loop or zero", name);
}

std::vector<float> fit_length(std::vector<float> wave, int64_t samples, FitRule rule) {
    SCENE_CHECK(!wave.empty(), "a clip has samples");
    SCENE_CHECK(samples > 0, "a clip's length is positive");
    const size_t length = wave.size();
    wave.resize(static_cast<size_t>(samples), 0.0f);
    if (rule == FitRule::Loop) {
        for (size_t i = length; i < wave.size(); ++i) wave[i] = wave[i - length];
    }
    return wave;
}

bool is_silent(std::span<const float> wave) {
    constexpr float half_step_of_16_bits = 0x1p-16f;
    return std::all_of(wave.begin(), wave.end(), [](float x) { return std::abs(x) < half_step_of_16_bits; });
}

std::string wav_bytes(std::span<const float> wave, int sample_rate) {
    constexpr uint32_t header_bytes = 44, pcm = 1, channels = 1, sample_bytes = 2;
    const auto rate = static_cast<uint32_t>(sample_rate);
    SCENE_CHECK(wave.size() < (UINT32_MAX - header_bytes) / sample_bytes, "a WAV file holds less than 4 GiB");
    const auto data_bytes = static_cast<uint32_t>(wave.size() * sample_bytes);
    std::string bytes;
    bytes.reserve(header_bytes + data_bytes);
    bytes += "RIFF";
    put_little_endian(bytes, header_bytes - 8 + data_bytes, 4);
    bytes += "WAVEfmt ";
    put_little_endian(bytes, 16, 4);
    put_little_endian(bytes, pcm, 2);
    put_little_endian(bytes, channels, 2);
    put_little_endian(bytes, rate, 4);
    put_little_endian(bytes, rate * channels * sample_bytes, 4);
    put_little_endian(bytes, channels * sample_bytes, 2);
    put_little_endian(bytes, 8 * sample_bytes, 2);
    bytes += "data";
    put_little_endian(bytes, data_bytes, 4);
    bytes.resize(header_bytes + data_bytes);
    char* next = bytes.data() + header_bytes;
    for (float sample : wave) {
        SCENE_CHECK(std::isfinite(sample), "a WAV takes finite samples");
        const float scaled = std::clamp(std::round(sample * 32768.0f), -32768.0f, 32767.0f);
        const auto value = static_cast<uint16_t>(static_cast<int16_t>(scaled));
        *next++ = static_cast<char>(value & 0xff);
        *next++ = static_cast<char>(value >> 8);
    }
    return bytes;
}

void write_wav(const fs::path& file, std::span<const float> wave, int sample_rate) {
    write_file(file, wav_bytes(wave, sample_rate));
}

} // namespace scene
