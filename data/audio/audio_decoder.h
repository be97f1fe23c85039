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
    int64_t frames = 0; ///< samples per channel; -1 when the header leaves it open or promises more than there is
};

/// Larger samples are no audio: 32-bit integers that a program wrote as floats, unscaled, reach 2^31 = 2.1e9; and the
/// features hold powers of spectra in float32, which end at 3.4e38, so that samples of about 2e16 would make them
/// infinite.
constexpr float largest_sample = 1e10f;

/// Decodes one file block by block, its channels averaged, in memory that does not grow with the file.
///
/// A file that ends before its header or its last page says (AudioView::ends_early, or fewer samples than promised)
/// is read to its end if it has at least half of the samples that are needed, or promised if these are fewer, or if
/// its header is as streams leave it. Otherwise it is cut short, an Error. So is damage in the part that is needed.
class AudioDecoder {
public:
    static constexpr int64_t all_frames = std::numeric_limits<int64_t>::max();

    /// Error: see read_mono (data/audio/audio.h).
    explicit AudioDecoder(const std::filesystem::path& file);
    ~AudioDecoder();
    AudioDecoder(const AudioDecoder&) = delete;
    AudioDecoder& operator=(const AudioDecoder&) = delete;

    const AudioInfo& info() const;
    /// The next samples; empty at the end of the file. Only the file's first `needed` frames matter to the caller.
    std::span<const float> next(int64_t needed = all_frames);
    /// True when the file has turned out to end before its header or its last page says.
    bool ends_early() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// "'it'\''s.wav'": for a shell; as it is where nothing needs a quote.
std::string shell_word(const std::string& text);

} // namespace scene
