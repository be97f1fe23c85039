#pragma once

#include "kernels/op.h"

namespace scene {

/// The prediction of AdaNPC (Zhang et al., ICML 2023, arXiv 2304.12566), a weighted vote of the k nearest neighbours.
/// For query b let V be the `neighbours` members m with the largest similarity[b, m] (of equal ones the lower m first),
/// or all members if there are fewer, and let w be softmax(similarity[b, V]/temperature). Then
///   votes[b, c] = sum of w[m] over all m in V with label[m] = c,
/// and 0 if there is no member. votes f32 [B, K]. similarity f32 [B, M]; NaN counts as -infinity; several voters that
/// are all -infinity give NaN. label I32 [M], 0 .. K - 1; a negative label marks a padding slot, which is no member. A
/// label of K or more throws std::logic_error on a CPU, and is no member on a GPU. At least one neighbour; temperature
/// above 0.
template <class T> struct NearestVotes {
    static constexpr std::string_view name = "nearest_votes";
    Out<T> votes;
    In<T> similarity, label;
    Scratch<T> scratch{};
    int64_t neighbours;
    float temperature;
};

namespace reference {
void run(const NearestVotes<Tensor>&);
}
namespace cpu {
void run(const NearestVotes<Tensor>&, Context&);
size_t scratch_bytes(const NearestVotes<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const NearestVotes<Tensor>&, Context&);
}

} // namespace scene
