#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/progress.h"
#include "train/report/run_result.h"

namespace scene {

/// A run on one page: scores, curves, confusion matrix, per-class table and settings. Self-contained HTML with inline
/// SVG and without scripts.
std::string report_html(const RunConfig& config, const RunResult& result, const std::vector<EpochRecord>& history,
                        const std::vector<std::string>& classes);

} // namespace scene
