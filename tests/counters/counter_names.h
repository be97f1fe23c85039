#pragma once

// The counters under the names that Nsight Compute gives the same things, so that both tables can be laid side by side.
// What Nsight Compute has no name for begins with "scene__".

#include <vector>

#include "tests/counters/kernel_counters.h"

namespace scene::counters {

struct Counter {
    const char* name;
    const char* unit;    ///< "" for a plain number
    const char* meaning; ///< one line
    double (*of)(const KernelCounters&);
};

const std::vector<Counter>& counters();

/// Sums of both kinds of access to global or shared memory, atomics included.
AccessCounts global_access(const AccessTable& access);
AccessCounts shared_access(const AccessTable& access);
/// Threads that took part in an access, of 32, on average; 0 if there was none.
double lanes_per_access(const AccessTable& access);
/// Distinct bytes as a share of 32 times the sectors, which is 1 where a request uses all bytes of its sectors.
double sector_use(const AccessCounts& access);
/// Wavefronts above the least, as a share of all.
double conflict_share(const AccessCounts& access);

} // namespace scene::counters
