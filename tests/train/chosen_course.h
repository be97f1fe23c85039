#pragma once

// Sets which epoch of a run is the best. In a real training that depends on the seed, the SIMD width and the
// convolution library. A test that needs a best epoch before the last one edits the scores in the file that the run
// resumes from.

#include <vector>

#include "kernels/files/safetensors.h"
#include "tests/train/small_store.h"
#include "train/run/history.h"
#include "train/run/run_folder.h"
#include "train/run/trainer.h"

namespace scene::test {

/// Trains up to and including an epoch, then stops as by Ctrl-C.
inline void train_until(Device& device, const FeatureStore& store, const RunConfig& config,
                        const std::filesystem::path& run, int64_t stage, int64_t epoch) {
    std::atomic<bool> stop{false};
    Recorder recorder;
    recorder.after_epoch = [&](const EpochRecord& record) { stop = record.stage == stage && record.epoch == epoch; };
    EXPECT_THROW(train_system(device, store, split_of(store, config), config, run, {recorder, stop}), Interrupted);
}

/// Changes the validation scores of the last epoch of an interrupted run. Real scores are in [0, 1], so with 2 it stays
/// the best epoch of its stage, and with -1 any later epoch is better.
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
