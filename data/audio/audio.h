#pragma once

// Audio files to mono waves at the project's sample rate, and back. All functions may be called from several threads
// at once. Errors of the user's files are scene::Error: one line with the file's name and what to do.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/audio/audio_decoder.h"

namespace scene {

/// Reads the header only. Fails as read_mono does, except for what only decoding can show.
AudioInfo audio_info(const std::filesystem::path& file);

constexpr int64_t all_samples = std::numeric_limits<int64_t>::max();

struct Recording {
    std::vector<float> wave;
    bool longer = false; ///< the file goes on after `wave`
    bool ends_early =
        false; ///< it ends before its header or its last page says (data/audio/audio_decoder.h), yet was read
};

/// Decodes WAV, FLAC, OGG, MP3, AIFF (and what else the installed libsndfile reads) to float32, integers scaled to
/// [-1, 1), averages the channels, and resamples to `sample_rate` with soxr's HQ recipe: ceil(frames * sample_rate /
/// rate) samples, as librosa.load(file, sr=sample_rate). Of these the first `most_samples`, bit for bit: no more of the
/// file is decoded than they need, in memory for them and some megabytes.
///
/// Fails on a missing, empty or unreadable file, a folder, a file that is not audio, one that is cut short or damaged
/// (data/audio/audio_decoder.h), one with no samples or with samples that are NaN, infinite or beyond `largest_sample`,
/// a rate outside 1 to 768 kHz, more than 256 channels, and where there is not enough memory for it.
Recording read_recording(const std::filesystem::path& file, int sample_rate, int64_t most_samples = all_samples);
/// All of it.
std::vector<float> read_mono(const std::filesystem::path& file, int sample_rate);

/// How a clip becomes exactly as long as the features need. A longer clip keeps its first samples under both rules.
enum class FitRule : uint8_t {
    /// A shorter clip starts again at its end until the length is full. The default: every frame then shows the
    /// scene, where zeros would put a flat floor of -top_db into the features that says only how long the file was.
    Loop,
    /// A shorter clip is followed by zeros.
    Zero,
};

std::string_view name_of(FitRule rule);            ///< "loop" or "zero"
FitRule fit_rule_from_name(std::string_view name); ///< fails, listing the names, on any other name

/// `wave`, not empty, cropped or extended to `samples`.
std::vector<float> fit_length(std::vector<float> wave, int64_t samples, FitRule rule);

/// True when no sample reaches half a step of 16-bit audio (2^-16). Silence is valid input; callers report it.
bool is_silent(std::span<const float> wave);

/// A mono 16-bit PCM WAV in memory: round(32768 * sample), clipped to 16 bits; samples are finite.
std::string wav_bytes(std::span<const float> wave, int sample_rate);

/// Writes wav_bytes. The file appears under its name only when it is complete; its folder must exist.
void write_wav(const std::filesystem::path& file, std::span<const float> wave, int sample_rate);

} // namespace scene
