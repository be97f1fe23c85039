#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/file_bytes.h"

namespace scene {

struct BytePatch {
    uint64_t at = 0; ///< in the file
    std::string bytes;
};

/// What the decoder is shown of a file: `head`, then the file's bytes from `begin` to `end`, some of them replaced.
struct AudioView {
    std::string head;
    uint64_t begin = 0, end = 0;
    std::vector<BytePatch> patches;

    /// The header or the last page promises more than there is, or data where there are other chunks.
    bool ends_early = false;
    /// ... as a program leaves it that writes to a pipe or was stopped: nothing says that anything is lost.
    bool streamed = false;
    /// Of the samples' bytes, how many the header promises for one that is there; 1 where it is right or does not say.
    double promised_share = 1;
    /// The number of samples in the header can be relied on. A guess (MP3 without an index) cannot.
    bool counts_samples = true;
    /// It comes from the last page that is there: fewer samples mean that something in between is broken.
    bool knows_its_end = false;
};

/// How far a file goes, where its header is wrong about that. libsndfile takes wrong sizes for empty, malformed or
/// complete files, or does not return; it is shown right ones.
///
/// - WAV, RIFX, RF64, BW64, W64, AIFF, CAF, AU: a size of samples that reaches behind the end of the file, or 0 where
///   samples follow, is replaced by what is there. Chunks behind the samples are no samples.
///   0, 0x7F000000 and more, and in 64 bits a terabyte and more, are what streams leave (`streamed`). What AU and CAF
///   mean by "unknown" is no wrong header.
/// - Ogg: what follows the last whole page is left out. `streamed`: whole pages, but none that closes the stream.
/// - MP3: without an index libsndfile guesses the length from the first frame and stops there. It is shown an index.
///   In a WAV (format 0x55) the MP3 itself is shown.
///
/// Whether a file that ends early is read or refused depends on how much is needed: data/audio/audio_decoder.h.
AudioView view_audio(const FileBytes& file);

} // namespace scene
