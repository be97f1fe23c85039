#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/progress.h"
#include "train/report/run_result.h"

namespace scene {

/// A run on one page: scores, curves, confusion matrix, per-class table and settings, as HTML with inline SVG that
/// needs nothing from elsewhere and runs no script.
std::string report_html(const RunConfig& config, const RunResult& result, const std::vector<EpochRecord>& history,
                        const std::vector<std::string>& classes);

} // namespace scene
