#pragma once

// The course of a training, chosen and not hoped for: which epoch of a run is the best depends on the seed, the
// processor's vectors and the library of convolutions, so a test that needs a best epoch before the last one says so in
// the file that the run goes on from.

#include <vector>

#include "kernels/files/safetensors.h"
#include "tests/train/small_store.h"
#include "train/run/history.h"
#include "train/run/run_folder.h"
#include "train/run/trainer.h"

namespace scene::test {

/// Trains up to and with an epoch and leaves the run folder as Ctrl-C does then.
inline void train_until(Device& device, const FeatureStore& store, const RunConfig& config,
                        const std::filesystem::path& run, int64_t stage, int64_t epoch) {
    std::atomic<bool> stop{false};
    Recorder recorder;
    recorder.after_epoch = [&](const EpochRecord& record) { stop = record.stage == stage && record.epoch == epoch; };
    EXPECT_THROW(train_system(device, store, split_of(store, config), config, run, {recorder, stop}), Interrupted);
}

/// The last epoch of an interrupted run gets other scores on its validation clips. No score is above 1 or below 0, so
/// that with 2 it stays the best of its stage, and with -1 the next one is better.
inline void set_last_scores(const std::filesystem::path& run, double all, double labelled) {
    const std::filesystem::path last = RunFolder{run}.last(), changed = last.string() + ".changed";
    {
        const SafetensorsFile file(last);
        Metadata metadata = file.metadata();
        std::string& json = metadata.at("training.history");
        std::vector<EpochRecord> history = parse_history_json(json, last.string());
        history.back().validation_balanced_accuracy = all;
        history.back().validation_labelled = labelled;
        json = history_json(history);
        SafetensorsWriter writer(changed, metadata);
        for (const SafetensorsEntry& entry : file.tensors()) writer.declare(entry.name, entry.dtype, entry.shape);
        for (const SafetensorsEntry& entry : file.tensors()) writer.write(entry.bytes);
        writer.commit();
    }
    std::filesystem::rename(changed, last);
}

} // namespace scene::test
