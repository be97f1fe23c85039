#pragma once

// The search for the quickest engine of a problem, within a budget of time. What it finds is cached.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/autotune/budget.h"
#include "kernels/cuda/autotune/plan_cache.h"

namespace scene::cuda {

/// An engine that a problem might run with.
struct Candidate {
    std::string name;
    /// Makes `run` possible; false if this device or the problem's bounds do not allow the engine.
    std::function<bool()> build;
    /// As Trial::run.
    std::function<double()> run;
    double build_seconds = 0; ///< expected
};

struct SearchResult {
    size_t index = 0; ///< of the candidate to run with; it was built
    PlanCache::Entry entry;
    std::string failures; ///< the candidates that did not run, in one line
};

class EngineSearch {
public:
    /// Refers to all of them. `device_is_broken`: as for quickest_of.
    EngineSearch(PlanCache& cache, AutotuneBudget& budget, std::function<bool()> device_is_broken)
        : cache_(cache), budget_(budget), device_is_broken_(std::move(device_is_broken)) {}

    /// What is cached for the problem, unless an earlier search had to stop within a smaller budget than this one.
    std::optional<PlanCache::Entry> known(const std::string& problem) const;

    /// Builds candidates in their order until `most` are built, and takes the quickest. While there is time, that is:
    /// the first that can be built is built at any time, the next only if it is expected to be ready before the budget
    /// is spent, and nothing is measured after that. So the result may be an engine without a time (entry.microseconds
    /// = 0); entry.left_out counts the candidates that were not looked at. The entry goes into the cache. Returns
    /// nothing if no candidate can be built. Throws Error if none runs, BrokenDevice as quickest_of.
    std::optional<SearchResult> search(const std::string& problem, const std::vector<Candidate>& candidates,
                                       size_t most);

private:
    PlanCache& cache_;
    AutotuneBudget& budget_;
    std::function<bool()> device_is_broken_;
};

} // namespace scene::cuda
