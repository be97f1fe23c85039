#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/run/trainer.h"

namespace scene {

struct Table1Options {
    /// Names of splits (data/splits/splits.h). Empty: the paper's "simulation" and "experiment", and "session" if the
    /// store allows it (else Table1::notes says why not).
    std::vector<std::string> splits;
    int64_t seeds = 1; ///< training.seed and, if the split is drawn, split.seed count up from the configuration's
};

/// One system on one split.
struct Table1Row {
    std::string split;
    int system = 1;
    std::vector<RunResult> results;           ///< [seeds], at least one
    RunConfig config = system_config(system); ///< of the first seed
};

struct Table1 {
    std::vector<Table1Row> rows;    ///< split by split, System #1 to #4 of each
    std::vector<std::string> notes; ///< what was left out and why
};

/// Trains Systems #1 to #4 on each split, in run/<split>/system<N>/seed-<S>, and writes run/table1.md and
/// run/table1.json. Complete runs are not repeated. `base` has the common settings. The teacher of Systems #3 and #4 is
/// the System #1 of the same split and seed, unless base.training.teacher is a checkpoint. Throws Error if the store
/// does not allow a split or the settings do not fit one.
Table1 run_table1(Device& device, const FeatureStore& store, const RunConfig& base, const Table1Options& options,
                  const std::filesystem::path& run, const Session& session);

/// A Markdown table: one line per system, the splits side by side, the paper's numbers in brackets. With several seeds
/// it has mean and sample standard deviation (n - 1).
std::string table1_markdown(const Table1& table);
/// A JSON array with one object per row.
std::string table1_json(const Table1& table);

} // namespace scene
