#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace scene {

/// What a file's header says, before any resampling.
struct AudioInfo {
    int sample_rate = 0; ///< Hz
    int channels = 0;
    int64_t frames = 0; ///< samples per channel; -1 when the header does not say or promises more than the file holds
};

/// Samples beyond this are refused. The bound is above 2^31 = 2.1e9, which unscaled 32-bit integers in a float file
/// reach, and far below about 2e16, where the power spectrum overflows float32.
constexpr float largest_sample = 1e10f;

/// Decodes one file block by block to mono (the mean of the channels), in memory that does not grow with the file.
///
/// A file may end early: AudioView::ends_early, or fewer samples than the header promises. It is read to its end
/// - if its header is a stream's (AudioView::streamed), or
/// - if it has at least half of the samples that are needed, or of those that are promised if these are fewer.
/// Otherwise it is truncated: an Error. Damage in the part that is needed is an Error too.
class AudioDecoder {
public:
    static constexpr int64_t all_frames = std::numeric_limits<int64_t>::max();

    /// Error: see read_recording (data/audio/audio.h).
    explicit AudioDecoder(const std::filesystem::path& file);
    ~AudioDecoder();
    AudioDecoder(const AudioDecoder&) = delete;
    AudioDecoder& operator=(const AudioDecoder&) = delete;

    const AudioInfo& info() const;
    /// The next samples, valid until the next call; empty at the end of the file. `needed` is how many of the file's
    /// frames the caller wants in all; it decides whether a file that ends early is refused.
    std::span<const float> next(int64_t needed = all_frames);
    /// True once the file is known to end early.
    bool ends_early() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// `text` as one word of a shell command: "'it'\''s.wav'". Unchanged where nothing needs a quote; "-x" becomes "./-x".
std::string shell_word(const std::string& text);

} // namespace scene
