#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/audio/audio.h"
#include "data/formats/dataset.h"
#include "kernels/device.h"
#include "kernels/log_mel/log_mel_spec.h"

namespace scene {

struct PrepareProgress {
    int64_t done = 0, total = 0; ///< clips, bad ones included
    int64_t bad = 0;
};

struct PrepareOptions {
    LogMelSpec spec;
    FitRule fit = FitRule::Loop;
    int threads = 0;       ///< decoding threads; 0: all cores
    bool skip_bad = false; ///< true: clips that cannot be read are left out; false: they are an Error at the end
    std::function<void(const PrepareProgress&)> progress;    ///< called after every chunk of clips
    std::function<void(const std::string& sentence)> notice; ///< called with messages for the user, as they arise
    const std::atomic<bool>* stop = nullptr;                 ///< when it turns true, work stops after the current chunk
};

struct ClipProblem {
    std::string file; ///< the audio file, or the name in the metadata if there is none
    size_t row = 0;   ///< line of the metadata, 0 if there is none
    std::string reason;
};

struct PrepareReport {
    bool complete = false; ///< false: stopped; the same call continues
    int64_t clips = 0;     ///< in the store
    int64_t resumed = 0;   ///< clips that an earlier, interrupted run had finished
    std::vector<ClipProblem> bad;
    std::vector<ClipProblem> silent;     ///< kept in the store
    std::vector<ClipProblem> longer;     ///< longer than the features need; the rest is not used. Not in `list`
    std::vector<ClipProblem> ends_early; ///< shorter than their header says, yet used (audio_decoder.h). Not in `list`
    std::filesystem::path list;          ///< `<out>.bad.csv` with file, row, reason; empty if there is nothing to list
};

/// Decodes every clip, computes its log-mel on `device` and writes the feature store `out`
/// (data/store/feature_store.h).
///
/// It works in chunks of clips. A chunk is decoded in parallel, written to `<out>.partial`, flushed to the disk and
/// noted in `<out>.partial.journal`, so an interruption (Ctrl-C, kill, power failure) loses at most one chunk. The next
/// run with the same files and settings continues after the last noted chunk and ends with the same bytes as an
/// uninterrupted one. With other files or settings it says so and starts again. `<out>.partial` has its full size from
/// the start, so a full disk is an error at once. At the end the file gets its header and its name.
///
/// Bad clips (unreadable, not audio, truncated, NaN ...) and silent ones are listed in `<out>.bad.csv`. With skip_bad
/// the store leaves the bad ones out. Without it bad clips are an Error after all clips have been decoded; the features
/// stay in `<out>.partial` for a run with skip_bad. Error also: a full disk, an unwritable folder, another run that
/// writes the same store, no good clip.
PrepareReport prepare(const Dataset& dataset, const std::filesystem::path& out, Device& device,
                      const PrepareOptions& options);

} // namespace scene
