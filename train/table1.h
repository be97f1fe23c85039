#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace scene {

/// One line of Table I: one system on one of the paper's two kinds of data.
struct Table1Row {
    std::string split; ///< "simulation" or "experiment"
    int system = 1;
    RunResult result;
};

/// Runs Systems #1 to #4 on the simulation and on the experiment split, each in run/<split>/system<N>; Systems #3 and
/// #4 weight with the System #1 of the same split. `base` gives the settings the systems share. What is complete is not
/// run again. Leaves run/table1.md and run/table1.json.
std::vector<Table1Row> run_table1(Backend& backend, const FeatureStore& store, const RunConfig& base,
                                  const std::filesystem::path& run, const Session& session);

/// Our numbers beside the paper's, as a Markdown table.
std::string table1_markdown(const std::vector<Table1Row>& rows);
std::string table1_json(const std::vector<Table1Row>& rows);

} // namespace scene
