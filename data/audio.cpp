#include "data/audio.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include <sndfile.h>
#include <soxr.h>

#include "data/audio_container.h"
#include "kernels/atomic_file.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

constexpr int lowest_rate = 1000;
constexpr int highest_rate = 768000;
constexpr int64_t unknown_length = -1;

struct CloseSound {
    void operator()(SNDFILE* sound) const { sf_close(sound); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

struct OpenedAudio {
    Sound sound;
    AudioInfo info;
};

OpenedAudio open_audio(const fs::path& file) {
    std::error_code error;
    const fs::file_status status = fs::status(file, error);
    if (status.type() == fs::file_type::not_found)
        fail("{}: no such file; check the path and the audio folder", file.string());
    if (error) fail("{}: cannot be read ({}); check its permissions", file.string(), error.message());
    if (fs::is_directory(status)) fail("{}: is a folder, not an audio file; name a file in it", file.string());
    if (!fs::is_regular_file(status)) fail("{}: is not a regular file; name a WAV, FLAC or OGG file", file.string());
    if (!std::ifstream(file, std::ios::binary)) fail("{}: cannot be opened; check its permissions", file.string());
    if (fs::file_size(file) == 0) fail("{}: is empty (0 bytes); fetch or export it again", file.string());
    require_complete_container(file);

    SF_INFO header{};
    Sound sound(sf_open(file.c_str(), SFM_READ, &header));
    if (!sound) fail("{}: is not audio that can be decoded; give a complete WAV, FLAC or OGG file", file.string());
    if (header.samplerate < lowest_rate || header.samplerate > highest_rate)
        fail("{}: has a sample rate of {} Hz, outside {} to {} Hz; export it again", file.string(), header.samplerate,
             lowest_rate, highest_rate);
    const bool open_ended = header.frames < 0 || header.frames == SF_COUNT_MAX;
    return {std::move(sound), {header.samplerate, header.channels, open_ended ? unknown_length : header.frames}};
}

/// All frames of an opened file, channels averaged.
std::vector<float> decode_mono(const fs::path& file, const OpenedAudio& audio) {
    constexpr int64_t block_frames = 16384;
    const int64_t channels = audio.info.channels;
    std::vector<float> block(static_cast<size_t>(block_frames * channels));
    std::vector<float> mono;
    // A damaged header may promise anything, so the reserve is bounded.
    mono.reserve(static_cast<size_t>(std::clamp<int64_t>(audio.info.frames, 0, 1 << 24)));
    while (true) {
        const int64_t got = sf_readf_float(audio.sound.get(), block.data(), block_frames);
        if (got <= 0) break;
        for (int64_t frame = 0; frame < got; ++frame) {
            float sum = 0;
            for (int64_t channel = 0; channel < channels; ++channel)
                sum += block[static_cast<size_t>(frame * channels + channel)];
            mono.push_back(sum / static_cast<float>(channels));
        }
    }
    const auto decoded = static_cast<int64_t>(mono.size());
    if (audio.info.frames != unknown_length && decoded < audio.info.frames)
        fail("{}: is cut short: its header promises {} samples, {} decode; fetch or export it again", file.string(),
             audio.info.frames, decoded);
    if (sf_error(audio.sound.get()) != SF_ERR_NO_ERROR)
        fail("{}: is damaged after sample {} ({}); fetch or export it again", file.string(), decoded,
             sf_strerror(audio.sound.get()));
    if (mono.empty()) fail("{}: holds no samples; remove it or export it again", file.string());
    for (size_t i = 0; i < mono.size(); ++i) {
        if (!std::isfinite(mono[i]))
            fail("{}: sample {} is {}; export it again without NaN or infinite samples", file.string(), i, mono[i]);
    }
    return mono;
}

std::vector<float> resample(const fs::path& file, std::vector<float> wave, int from, int to) {
    if (from == to) return wave;
    const auto samples = static_cast<size_t>(std::ceil(static_cast<double>(wave.size()) * to / from));
    std::vector<float> out(samples, 0.0f);
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    size_t read = 0, written = 0;
    const soxr_error_t error = soxr_oneshot(from, to, 1, wave.data(), wave.size(), &read, out.data(), out.size(),
                                            &written, &io, &quality, &runtime);
    if (error) fail("{}: cannot be resampled from {} to {} Hz ({})", file.string(), from, to, error);
    return out;
}

void put_little_endian(std::string& bytes, uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

} // namespace

AudioInfo audio_info(const fs::path& file) { return open_audio(file).info; }

std::vector<float> read_mono(const fs::path& file, int sample_rate) {
    SCENE_CHECK(sample_rate >= lowest_rate && sample_rate <= highest_rate, "an audio sample rate");
    const OpenedAudio audio = open_audio(file);
    return resample(file, decode_mono(file, audio), audio.info.sample_rate, sample_rate);
}

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
