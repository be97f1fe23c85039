#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/file_bytes.h"

namespace scene {

/// Bytes that replace those at one place in a file.
struct BytePatch {
    uint64_t at = 0; ///< offset in the file
    std::string bytes;
};

/// What the decoder sees of a file: `head`, then the file's bytes from `begin` to `end` with `patches` applied.
struct AudioView {
    std::string head;
    uint64_t begin = 0, end = 0;
    std::vector<BytePatch> patches;

    /// The header, or the last Ogg page, promises more samples than the file holds.
    bool ends_early = false;
    /// The size is the placeholder of a program that wrote to a pipe or was stopped, so nothing need be missing.
    bool streamed = false;
    /// Bytes of samples that the header promises, divided by those in the file; 1 where it is right or does not say.
    double promised_share = 1;
    /// The number of samples in the header is reliable. That of an MP3 without an index is a guess.
    bool counts_samples = true;
    /// The number of samples comes from the last Ogg page in the file, so fewer decoded samples mean damage before it.
    bool knows_its_end = false;
};

/// Corrects the sizes in a file's header, because libsndfile handles wrong ones badly: it takes the file for empty,
/// malformed or complete, or does not return.
///
/// - WAV, RIFX, RF64, BW64, W64, AIFF, CAF, AU: a samples' size that reaches past the end of the file, or that is 0
///   although samples follow, is replaced by the size in the file. Chunks after the samples are not samples.
///   `streamed`: sizes of 0, from 0x7F000000 on, and in 64 bits from a terabyte on or near 2^31 or 2^32. The mark for
///   "unknown" of AU and CAF is not an error.
/// - Ogg: what follows the last whole page is left out. `streamed`: all pages are whole, but none ends the stream.
/// - MP3: without an index libsndfile guesses the length from the first frame and stops there, so the view begins with
///   an index (show_mpeg_index). Of an MP3 inside a WAV (format 0x55) the view is the MP3 itself.
///
/// data/audio/audio_decoder.h says when a file that ends early is read and when it is refused.
AudioView view_audio(const FileBytes& file);

} // namespace scene
