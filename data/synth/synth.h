#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "data/synth/synth_scene.h"

namespace scene {

struct SynthOptions {
    int64_t clips = 1000;
    double labelled = 0.2; ///< share of every class whose label is in the metadata
    uint64_t seed = 1234;
    double seconds = 10;
    int64_t clips_per_session = 10;
    int threads = 0; ///< 0: all cores
    SceneDifficulty difficulty;
    std::function<void(int64_t done, int64_t total)> progress; ///< called by one thread at a time
    const std::atomic<bool>* stop = nullptr; ///< when it turns true, the unfinished dataset is removed
};

struct SynthReport {
    bool complete = false; ///< false: stopped
    int64_t clips = 0, labelled = 0, sessions = 0;
};

/// Writes a synthetic dataset of ten scenes in the layout of CAS2023 into the new folder `out`:
/// - metadata.csv: filename,location,record_time,scene_label with a byte-order mark; the label is empty if hidden
/// - truth.csv: filename,true_label for every clip, to evaluate the hidden labels (read_dataset does not read it)
/// - audio/*.wav: 44.1 kHz, 16 bit, mono
///
/// Clips of one recording session share city, time, room, microphone and label. Ten sessions, one per scene, share city
/// and minute, so the city and time inputs of a model carry no information on the scene. The same options give the
/// same bytes with any number of threads. The folder has a temporary name until it is complete.
/// Error: `out` exists and is not an empty folder, impossible numbers, a full disk, an unwritable folder.
SynthReport synthesize(const std::filesystem::path& out, const SynthOptions& options);

} // namespace scene
