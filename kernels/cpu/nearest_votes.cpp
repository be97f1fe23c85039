#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace scene::cpu {
namespace {

struct Neighbour {
    float similarity;
    int32_t member;

    bool before(const Neighbour& other) const {
        return similarity > other.similarity || (similarity == other.similarity && member < other.member);
    }
};

} // namespace

void CpuBackend::nearest_votes(Tensor votes, Tensor similarity, Tensor label, int64_t neighbours, float temperature) {
    check_rank(votes, 2, "votes");
    check_rank(similarity, 2, "similarity");
    const int64_t queries = votes.shape[0], classes = votes.shape[1], members = similarity.shape[1];
    float* out = floats(votes, {queries, classes}, "votes");
    const float* rows = floats(similarity, {queries, members}, "similarity");
    const int32_t* labels = operand<int32_t>(label, {members}, "label");
    SCENE_CHECK(neighbours >= 1 && temperature > 0, "a vote needs a neighbour and a temperature above 0");
    SCENE_CHECK(*std::max_element(labels, labels + members) < classes, "a label is beyond the classes");
    for_pieces(threads_, queries, 1, [&](int64_t query, int64_t) {
        static thread_local std::vector<Neighbour> nearest;
        static thread_local std::vector<double> vote;
        nearest.clear();
        for (int64_t m = 0; m < members; ++m) {
            const float value = rows[query * members + m];
            if (labels[m] < 0) continue;
            nearest.push_back(
                {std::isnan(value) ? -std::numeric_limits<float>::infinity() : value, static_cast<int32_t>(m)});
        }
        const auto voters = std::min<int64_t>(neighbours, static_cast<int64_t>(nearest.size()));
        std::partial_sort(nearest.begin(), nearest.begin() + voters, nearest.end(),
                          [](const Neighbour& a, const Neighbour& b) { return a.before(b); });
        vote.assign(static_cast<size_t>(classes), 0.0);
        double total = 0;
        for (int64_t n = 0; n < voters; ++n) {
            const Neighbour& one = nearest[static_cast<size_t>(n)];
            const double distance = static_cast<double>(one.similarity) - static_cast<double>(nearest[0].similarity);
            const double weight = n == 0 ? 1 : std::exp(distance / double{temperature});
            vote[static_cast<size_t>(labels[one.member])] += weight;
            total += weight;
        }
        for (int64_t c = 0; c < classes; ++c)
            out[query * classes + c] = voters == 0 ? 0 : static_cast<float>(vote[static_cast<size_t>(c)] / total);
    });
}

} // namespace scene::cpu
