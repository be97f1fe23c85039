#pragma once

// The same configuration several times: over seeds, over folds, or both; and what came of it, as mean and deviation.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/run/trainer.h"

namespace scene {

/// One run of several.
struct Repeat {
    std::string name; ///< of its folder inside the run folder: "seed-1234", "fold-3", "fold-3-seed-1234"
    RunConfig config;
};

/// `settings` with the seed raised by `step`, if the split draws anything from its seed.
SplitSettings nth_draw(SplitSettings settings, uint64_t step);

/// The folds that have labelled clips, ascending. Error if there are none.
std::vector<int32_t> folds_of(const FeatureStore& store);

/// `seeds` runs (0: one, with the seeds of `base`, and no seed in the name), whose training.seed and split.seed count
/// up from those of `base`; the latter only where the split is drawn. A base split "fold:all" gives so many for every
/// fold of the store.
std::vector<Repeat> repeats_of(const RunConfig& base, int64_t seeds, const FeatureStore& store);

/// A score of every run; NaN where a run does not have it.
struct SummaryLine {
    std::string name;
    std::vector<double> values; ///< [runs]
};

struct Summary {
    std::string system, split;     ///< the split of `base`
    std::vector<std::string> runs; ///< their names
    /// "train", "pseudo", "labelled_validation", "test_balanced_accuracy", "test_accuracy", "leaked_share",
    /// "leaked_share_with_unlabelled".
    std::vector<SummaryLine> scores;
    std::vector<SummaryLine> classes;         ///< recall in the test
    std::vector<SummaryLine> cities, devices; ///< balanced accuracy over the classes of that city or device in the test
};

/// `results` [runs], in the order of `repeats`, which is not empty.
Summary summarize(const RunConfig& base, const std::vector<Repeat>& repeats, const std::vector<RunResult>& results,
                  const std::vector<std::string>& classes);

/// {"format", "version", "system", "split", "runs", "scores", "classes", "cities", "devices"}; each line has mean,
/// deviation (sample standard deviation, n - 1; null for one run) and the values.
std::string summary_json(const Summary& summary);

/// Trains every repeat in a folder of its own inside `run`, one after the other; what is complete is not run again, and
/// what was stopped goes on. Leaves run/summary.json once all are complete.
Summary train_repeats(Device& device, const FeatureStore& store, const RunConfig& base, int64_t seeds,
                      const std::filesystem::path& run, const Session& session);

} // namespace scene
