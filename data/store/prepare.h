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
    int threads = 0;       ///< that decode; 0: all cores
    bool skip_bad = false; ///< leave clips out that cannot be read, in place of an Error at the end
    std::function<void(const PrepareProgress&)> progress;    ///< after every chunk of clips
    std::function<void(const std::string& sentence)> notice; ///< what the user should know at once
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
    std::vector<ClipProblem> silent; ///< kept in the store
    std::vector<ClipProblem> longer; ///< than what is heard; the rest is not used. No more in the list than those below
    std::vector<ClipProblem> ends_early; ///< before their header says, yet read (data/audio/audio_decoder.h)
    std::filesystem::path list;          ///< `<out>.bad.csv` with file, row, reason; empty if there is nothing to list
};

/// Decodes every clip, computes its log-mel on `device` and writes the feature store `out`
/// (data/store/feature_store.h).
///
/// Clips are taken in chunks. A chunk is decoded in parallel, written to `<out>.partial` (which has its full size from
/// the start, so that a full disk shows at once), made durable, and noted in `<out>.partial.journal`; so Ctrl-C, a kill
/// or a power cut lose at most one chunk. The next run with the same files and settings continues after the last chunk
/// noted and ends with the same bytes as an uninterrupted one; with others it says so and starts anew. When all is
/// there, the file gets its header and its name.
///
/// Bad clips (unreadable, not audio, cut short, NaN ...) and silent ones are listed in `<out>.bad.csv`. With skip_bad
/// the store leaves the bad ones out; without, an Error follows after all clips have been looked at, and what was
/// computed stays for a run with skip_bad. Errors also: a full disk, an unwritable folder, another run writing the same
/// store.
PrepareReport prepare(const Dataset& dataset, const std::filesystem::path& out, Device& device,
                      const PrepareOptions& options);

} // namespace scene
