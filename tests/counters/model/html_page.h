#pragma once

#include <functional>
#include <string>

#include "tests/counters/model/step_report.h"

namespace scene::counters {

/// The text of a source file; nothing if there is none. Its argument is a path relative to the repository.
using SourceReader = std::function<std::optional<std::string>(const std::string& file)>;
/// Reads below the current folder.
std::optional<std::string> source_in_current_folder(const std::string& file);

/// One page that needs nothing else: a table of a step's kernels, and for each kernel the source of its accesses, every
/// line with its requests, sectors, bank conflicts and active lanes. Launches of one kernel share a listing.
std::string html_page(const StepReport& report, const SourceReader& source);

} // namespace scene::counters
