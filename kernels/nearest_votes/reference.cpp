#include "kernels/nearest_votes/nearest_votes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void vote(const NearestVotes<Tensor>& op) {
    const int64_t queries = op.similarity.shape[0], members = op.similarity.shape[1], classes = op.votes.shape[1];
    const auto* label = op.label.as<int32_t>();
    for (int64_t query = 0; query < queries; ++query) {
        const Real* row = values<Real>(op.similarity) + query * members;
        const auto similarity = [&](int64_t m) {
            return std::isnan(row[m]) ? -std::numeric_limits<Real>::infinity() : row[m];
        };
        std::vector<int64_t> nearest;
        for (int64_t m = 0; m < members; ++m)
            if (label[m] >= 0) nearest.push_back(m);
        std::stable_sort(nearest.begin(), nearest.end(),
                         [&](int64_t a, int64_t b) { return similarity(a) > similarity(b); });
        if (static_cast<int64_t>(nearest.size()) > op.neighbours) nearest.resize(static_cast<size_t>(op.neighbours));

        // Weights relative to the nearest neighbour, whose own is 1 even if its similarity is -infinity.
        std::vector<Real> weight;
        Real sum = 0;
        for (const int64_t m : nearest) {
            const Real distance = similarity(m) - similarity(nearest[0]);
            weight.push_back(m == nearest[0] ? Real(1) : std::exp(distance / static_cast<Real>(op.temperature)));
            sum += weight.back();
        }
        Real* votes = values<Real>(op.votes) + query * classes;
        std::fill_n(votes, classes, Real(0));
        for (size_t n = 0; n < nearest.size(); ++n) votes[label[nearest[n]]] += weight[n] / sum;
    }
}

} // namespace

void run(const NearestVotes<Tensor>& op) {
    with_real(op.similarity, [&](auto real) { vote<decltype(real)>(op); });
}

} // namespace scene::reference
