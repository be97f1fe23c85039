#include "kernels/nearest_votes/nearest_votes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <omp.h>

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

struct Neighbour {
    float similarity;
    int32_t member;

    bool before(const Neighbour& other) const {
        return similarity > other.similarity || (similarity == other.similarity && member < other.member);
    }
};

/// A thread's scratch for one query: the sums of the votes [K], then the neighbours [M].
size_t bytes_per_thread(int64_t members, int64_t classes) {
    return static_cast<size_t>(classes) * sizeof(double) + static_cast<size_t>(members) * sizeof(Neighbour);
}

} // namespace

size_t scratch_bytes(const NearestVotes<TensorSpec>& op, const Planning& cpu) {
    return static_cast<size_t>(cpu.threads) * bytes_per_thread(op.similarity.shape[1], op.votes.shape[1]);
}

void run(const NearestVotes<Tensor>& op, Context& cpu) {
    check_rank(op.votes, 2, "votes");
    check_rank(op.similarity, 2, "similarity");
    const int64_t queries = op.votes.shape[0], classes = op.votes.shape[1], members = op.similarity.shape[1];
    float* out = floats(op.votes, {queries, classes}, "votes");
    const float* rows = floats(op.similarity, {queries, members}, "similarity");
    const int32_t* labels = indices(op.label, {members}, "label");
    SCENE_CHECK(op.neighbours >= 1 && op.temperature > 0, "a vote needs a neighbour and a temperature above 0");
    SCENE_CHECK(*std::max_element(labels, labels + members) < classes, "a label is beyond the classes");
    const size_t thread_bytes = bytes_per_thread(members, classes);
    auto* scratch = scratch_of<char>(op.scratch, static_cast<size_t>(cpu.threads) * thread_bytes);
    for_chunks(cpu.threads, queries, 1, [&](int64_t query, int64_t) {
        auto* vote = reinterpret_cast<double*>(scratch + static_cast<size_t>(omp_get_thread_num()) * thread_bytes);
        auto* nearest = reinterpret_cast<Neighbour*>(vote + classes);
        int64_t candidates = 0;
        for (int64_t m = 0; m < members; ++m) {
            const float value = rows[query * members + m];
            if (labels[m] < 0) continue;
            nearest[candidates++] = {std::isnan(value) ? -std::numeric_limits<float>::infinity() : value,
                                     static_cast<int32_t>(m)};
        }
        const int64_t voters = std::min(op.neighbours, candidates);
        std::partial_sort(nearest, nearest + voters, nearest + candidates,
                          [](const Neighbour& a, const Neighbour& b) { return a.before(b); });
        std::fill_n(vote, classes, 0.0);
        double total = 0;
        for (int64_t n = 0; n < voters; ++n) {
            const double distance =
                static_cast<double>(nearest[n].similarity) - static_cast<double>(nearest[0].similarity);
            const double weight = n == 0 ? 1 : std::exp(distance / double{op.temperature});
            vote[labels[nearest[n].member]] += weight;
            total += weight;
        }
        for (int64_t c = 0; c < classes; ++c)
            out[query * classes + c] = voters == 0 ? 0 : static_cast<float>(vote[c] / total);
    });
}

} // namespace scene::cpu
