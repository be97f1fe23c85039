#pragma once

#include <string>

#include "tests/counters/kernel_counters.h"

namespace scene::counters {

/// A row for each kernel of an op kind, equal launches together, those with the most sectors first.
std::string table_text(const StepCounters& step);

} // namespace scene::counters
