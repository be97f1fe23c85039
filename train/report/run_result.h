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

/// The end of a run, also in run/result.json.
struct RunResult {
    std::string system;
    std::string split;      ///< its name
    LeakedShare leak;       ///< share of its test clips whose recording session trains
    double train_score = 0; ///< best validation balanced accuracy of stage 1 (paper: "Train")
    std::optional<double>
        pseudo_score; ///< of the last stage's chosen epoch, with pseudo labels as truth (paper: "Pseudo")
    std::optional<double> labelled_score; ///< of the last stage's chosen epoch on truly labelled validation clips
    std::optional<Confusion> test;        ///< when the split has labelled test clips
    std::vector<PartScore> cities;        ///< of the test, where the store knows cities
    std::vector<PartScore> devices;       ///< of the test, where the store knows devices
    int64_t hard_clips = 0;               ///< below the threshold, in the last stage that was weighted
    std::filesystem::path checkpoint;     ///< the best model of the last stage
    bool was_complete = false;            ///< the run had ended before; nothing was computed
};

} // namespace scene
