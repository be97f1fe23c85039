#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/run/trainer.h"

namespace scene {

struct Table1Options {
    /// Names of splits (data/splits/splits.h). Empty: the paper's two, "simulation" and "experiment", and "session", or
    /// why there is none.
    std::vector<std::string> splits;
    int64_t seeds = 1; ///< training.seed and, where the split is drawn, split.seed count up from the configuration's
};

/// One system on one split.
struct Table1Row {
    std::string split;
    int system = 1;
    std::vector<RunResult> results;           ///< [seeds], one or more
    RunConfig config = system_config(system); ///< of the first seed
};

struct Table1 {
    std::vector<Table1Row> rows;    ///< split by split, System #1 to #4 of each
    std::vector<std::string> notes; ///< what was left out, and why
};

/// Runs Systems #1 to #4 on each split, in run/<split>/system<N>/seed-<S>; Systems #3 and #4 weight with the System #1
/// of the same split and seed. `base` gives the settings the systems share. What is complete is not run again. Leaves
/// run/table1.md and run/table1.json. Error: a split asked for that the store does not allow.
Table1 run_table1(Device& device, const FeatureStore& store, const RunConfig& base, const Table1Options& options,
                  const std::filesystem::path& run, const Session& session);

/// The splits side by side, one line per system, the paper's numbers in brackets, as a Markdown table; with several
/// seeds mean and sample standard deviation (n - 1).
std::string table1_markdown(const Table1& table);
/// A list with one object per row.
std::string table1_json(const Table1& table);

} // namespace scene
