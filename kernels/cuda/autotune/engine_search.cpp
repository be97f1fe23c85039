#include "kernels/cuda/autotune/engine_search.h"

#include <algorithm>

#include "kernels/cuda/autotune/quickest.h"

namespace scene::cuda {

std::optional<PlanCache::Entry> EngineSearch::known(const std::string& problem) const {
    const std::optional<PlanCache::Entry> entry = cache_.find(problem);
    if (!entry || entry->left_out == 0) return entry;
    const bool smaller = budget_.seconds() > 0 && budget_.seconds() <= entry->budget_seconds;
    return smaller ? entry : std::nullopt;
}

std::optional<SearchResult> EngineSearch::search(const std::string& problem, const std::vector<Candidate>& candidates,
                                                 size_t most) {
    std::vector<size_t> built;
    int left_out = 0;
    double longest = 0; // build time so far: the estimates may be wrong
    for (size_t i = 0; i < candidates.size() && built.size() < most; ++i) {
        const Candidate& candidate = candidates[i];
        if (!built.empty() && !budget_.allows(std::max(candidate.build_seconds, longest))) {
            left_out += static_cast<int>(std::min(candidates.size() - i, most - built.size()));
            break;
        }
        const double before = budget_.spent();
        if (!candidate.build()) continue;
        longest = std::max(longest, budget_.spent() - before);
        built.push_back(i);
    }
    if (built.empty()) return std::nullopt;
    std::vector<Trial> trials;
    for (const size_t i : built) trials.push_back({candidates[i].name, candidates[i].run});
    const Quickest quickest = quickest_of(trials, device_is_broken_, [this] { return !budget_.allows(0); });
    left_out += quickest.not_measured;
    const size_t index = built[quickest.index];
    cache_.add(problem, candidates[index].name, 1e6 * quickest.seconds, left_out, left_out > 0 ? budget_.seconds() : 0);
    return SearchResult{index, cache_.find(problem).value(), quickest.failures};
}

} // namespace scene::cuda
