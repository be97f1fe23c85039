#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/audit/audit.h"
#include "train/evaluation/breakdown.h"
#include "train/metrics.h"

namespace scene {

/// The result of a run, also in run/result.json. Scores are balanced accuracies.
struct RunResult {
    std::string system;     ///< system_title
    std::string split;      ///< Split::name
    LeakedShare leak;       ///< shares of the test clips whose recording session also trains
    double train_score = 0; ///< best validation score of stage 1 (paper: "Train")
    /// Validation score of the last stage's best epoch, with pseudo labels as truth (paper: "Pseudo"). From stage 2 on.
    std::optional<double> pseudo_score;
    /// The same epoch's validation score on clips with true labels. From stage 2 on.
    std::optional<double> labelled_score;
    std::optional<Confusion> test;    ///< if the split has labelled test clips
    std::vector<PartScore> cities;    ///< on the test clips; empty if the store knows no cities
    std::vector<PartScore> devices;   ///< on the test clips; empty if the store knows no devices
    int64_t hard_clips = 0;           ///< listed in hard_samples.csv for the last stage
    std::filesystem::path checkpoint; ///< the best model of the last stage
    bool was_complete = false;        ///< the run was complete before; nothing was computed
};

} // namespace scene
