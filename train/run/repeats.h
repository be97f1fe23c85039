#pragma once

// Repeats a configuration over seeds, over folds, or both, and summarises the results as mean and deviation.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/run/trainer.h"

namespace scene {

/// One of several runs.
struct Repeat {
    std::string name; ///< its folder inside the run folder: "seed-1234", "fold-3", "fold-3-seed-1234"
    RunConfig config;
};

/// `settings` with its seed increased by `step`, if the split depends on the seed.
SplitSettings nth_draw(SplitSettings settings, uint64_t step);

/// The folds with labelled clips, ascending. Throws Error if there are none.
std::vector<int32_t> folds_of(const FeatureStore& store);

/// `seeds` runs, for the split "fold:all" so many per fold of the store. training.seed and, if the split depends on it,
/// split.seed count up from those of `base`. With `seeds` = 0 it is one run (per fold) with the seeds of `base`, and no
/// seed in its name.
std::vector<Repeat> repeats_of(const RunConfig& base, int64_t seeds, const FeatureStore& store);

/// One score of every run; NaN if a run does not have it.
struct SummaryLine {
    std::string name;
    std::vector<double> values; ///< [runs]
};

struct Summary {
    std::string system, split;     ///< title and split name of `base`
    std::vector<std::string> runs; ///< Repeat::name
    /// "train", "pseudo", "labelled_validation", "test_balanced_accuracy", "test_accuracy", "leaked_share",
    /// "leaked_share_with_unlabelled".
    std::vector<SummaryLine> scores;
    std::vector<SummaryLine> classes;         ///< recall on the test clips
    std::vector<SummaryLine> cities, devices; ///< balanced accuracy on the test clips of each city or device
};

/// `results` are in the order of `repeats`; there is at least one.
Summary summarize(const RunConfig& base, const std::vector<Repeat>& repeats, const std::vector<RunResult>& results,
                  const std::vector<std::string>& classes);

/// JSON: {"format", "version", "system", "split", "deviation", "runs", "scores", "classes", "cities", "devices"}. Each
/// line has mean, deviation (sample standard deviation, n - 1; null for one run) and values.
std::string summary_json(const Summary& summary);

/// Trains the repeats one after the other, each in its own folder inside `run`, then writes run/summary.json. Complete
/// runs are not repeated, stopped ones resume.
Summary train_repeats(Device& device, const FeatureStore& store, const RunConfig& base, int64_t seeds,
                      const std::filesystem::path& run, const Session& session);

} // namespace scene
