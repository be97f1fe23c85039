#pragma once

// Counters by line of source: what a profiler's source view shows.

#include <map>
#include <string>
#include <vector>

#include "tests/counters/kernel_counters.h"

namespace scene::counters {

struct LineHeat {
    AccessCounts global, shared; ///< loads, stores and atomics together
};

/// By file and line. An access counts at every line of its chain of inlined calls, once if a line is in it twice; so
/// the lines of a file add up to more than the kernel.
using SourceHeat = std::map<std::string, std::map<int, LineHeat>>;

/// The sum over kernels.
SourceHeat heat_of(const std::vector<const KernelCounters*>& kernels);

/// Active threads of a request; 0 without requests.
double lanes_per_request(const AccessCounts& counts);

} // namespace scene::counters
