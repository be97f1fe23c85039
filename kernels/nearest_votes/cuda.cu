#include <cmath>

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/nearest_votes/nearest_votes.h"

namespace scene::cuda {
namespace {

constexpr int no_member = 0x7FFFFFFF;
constexpr int warps = block_threads / warp_lanes;

struct Neighbour {
    float similarity;
    int member;
};

/// The order of neighbours: by decreasing similarity, then by increasing member.
__device__ bool before(float similarity, int member, float other_similarity, int other_member) {
    return similarity > other_similarity || (similarity == other_similarity && member < other_member);
}

/// Block reduction: `best` becomes the first neighbour of all threads, in every thread. `shared` [warps] may be reused
/// after the next barrier.
__device__ void first_of_block(Neighbour& best, Neighbour* shared) {
    for (int lanes = warp_lanes / 2; lanes > 0; lanes /= 2) {
        const float similarity = __shfl_xor_sync(all_lanes, best.similarity, lanes);
        const int member = __shfl_xor_sync(all_lanes, best.member, lanes);
        if (before(similarity, member, best.similarity, best.member))
            best.similarity = similarity, best.member = member;
    }
    if (threadIdx.x % warp_lanes == 0) {
        shared[threadIdx.x / warp_lanes].similarity = best.similarity;
        shared[threadIdx.x / warp_lanes].member = best.member;
    }
    __syncthreads();
    for (int warp = 0; warp < warps; ++warp) {
        const float similarity = shared[warp].similarity;
        const int member = shared[warp].member;
        if (before(similarity, member, best.similarity, best.member))
            best.similarity = similarity, best.member = member;
    }
}

/// One block for each query. Each round finds the next neighbour in order after the previous one, so nothing is marked
/// or sorted. One thread adds the votes, in the order of the neighbours.
__global__ void __launch_bounds__(block_threads) vote(float* votes, const float* similarity, const int32_t* label,
                                                      int members, int classes, int neighbours, float temperature) {
    double* sums = dynamic_shared<double>(); // [classes + 1], the last is the total
    Neighbour* firsts = reinterpret_cast<Neighbour*>(sums + classes + 1);
    const float* row = similarity + static_cast<int64_t>(blockIdx.x) * members;
    const int thread = static_cast<int>(threadIdx.x);
    for (int c = thread; c <= classes; c += block_threads) sums[c] = 0;
    float last_similarity = INFINITY, largest = 0;
    int last_member = -1;
    for (int n = 0; n < neighbours; ++n) {
        Neighbour best;
        best.similarity = -INFINITY;
        best.member = no_member;
        for (int m = thread; m < members; m += block_threads) {
            if (label[m] < 0 || label[m] >= classes) continue;
            const float value = row[m] != row[m] ? -INFINITY : row[m];
            if (before(last_similarity, last_member, value, m) && before(value, m, best.similarity, best.member))
                best.similarity = value, best.member = m;
        }
        __syncthreads();
        first_of_block(best, firsts);
        if (best.member == no_member) break;
        if (n == 0) largest = best.similarity;
        last_similarity = best.similarity, last_member = best.member;
        if (thread != 0) continue;
        const double distance = static_cast<double>(best.similarity) - static_cast<double>(largest);
        const double weight = n == 0 ? 1 : exp(distance / static_cast<double>(temperature));
        sums[label[best.member]] += weight;
        sums[classes] += weight;
    }
    __syncthreads();
    for (int c = thread; c < classes; c += block_threads)
        votes[static_cast<int64_t>(blockIdx.x) * classes + c] =
            sums[classes] == 0 ? 0.0f : static_cast<float>(sums[c] / sums[classes]);
}

} // namespace

void run(const NearestVotes<Tensor>& op, Context& cuda) {
    check_rank(op.votes, 2, "votes");
    check_rank(op.similarity, 2, "similarity");
    const int64_t queries = op.votes.shape[0], classes = op.votes.shape[1], members = op.similarity.shape[1];
    SCENE_CHECK(op.neighbours >= 1 && op.temperature > 0, "a vote needs a neighbour and a temperature above 0");
    const size_t shared =
        static_cast<size_t>(classes + 1) * sizeof(double) + static_cast<size_t>(warps) * sizeof(Neighbour);
    launch(vote, dim3(static_cast<unsigned>(queries)), dim3(block_threads), shared, cuda.stream,
           floats(op.votes, {queries, classes}, "votes"), floats(op.similarity, {queries, members}, "similarity"),
           indices(op.label, {members}, "label"), static_cast<int>(members), static_cast<int>(classes),
           static_cast<int>(std::min(op.neighbours, members)), op.temperature);
}

} // namespace scene::cuda
