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
    bool longer = false;     ///< the file goes on after `wave`
    bool ends_early = false; ///< the file is shorter than it claims, yet was accepted (data/audio/audio_decoder.h)
};

/// Decodes a file to mono float32 at `sample_rate`.
///
/// - Decodes WAV, FLAC, OGG, MP3, AIFF and whatever else the installed libsndfile reads. Integers become [-1, 1).
/// - Averages the channels.
/// - Resamples with soxr's HQ recipe to ceil(frames * sample_rate / rate) samples, as
///   librosa.load(file, sr=sample_rate) does.
/// - Returns the first `most_samples` of these, bit for bit the same as from the whole file. It decodes no more of the
///   file than they need, and its memory is that of these samples and a few megabytes.
///
/// Error: the file is missing, empty, unreadable, a folder, not audio, truncated or damaged
/// (data/audio/audio_decoder.h), without samples, with samples that are NaN, infinite or beyond `largest_sample`, has a
/// rate outside 1 to 768 kHz or more than 256 channels, or needs more memory than there is.
Recording read_recording(const std::filesystem::path& file, int sample_rate, int64_t most_samples = all_samples);
/// read_recording of the whole file.
std::vector<float> read_mono(const std::filesystem::path& file, int sample_rate);

/// How a clip becomes exactly as long as the features need. A longer clip keeps its first samples under both rules.
enum class FitRule : uint8_t {
    /// A shorter clip repeats until the length is full. The default, because every frame then shows the scene. Zeros
    /// would put a flat floor of -top_db into the features, which encodes only how long the file was.
    Loop,
    /// A shorter clip is followed by zeros.
    Zero,
};

std::string_view name_of(FitRule rule);            ///< "loop" or "zero"
FitRule fit_rule_from_name(std::string_view name); ///< fails, listing the names, on any other name

/// `wave`, not empty, cropped or extended to `samples`.
std::vector<float> fit_length(std::vector<float> wave, int64_t samples, FitRule rule);

/// True when every |sample| is below half a quantisation step of 16-bit audio (2^-16). Silence is valid input; callers
/// report it.
bool is_silent(std::span<const float> wave);

/// A mono 16-bit PCM WAV in memory: round(32768 * sample), clipped to 16 bits. Samples must be finite.
std::string wav_bytes(std::span<const float> wave, int sample_rate);

/// Writes wav_bytes. The file appears under its name only when it is complete; its folder must exist.
void write_wav(const std::filesystem::path& file, std::span<const float> wave, int sample_rate);

} // namespace scene
