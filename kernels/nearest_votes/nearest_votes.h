#pragma once

#include "kernels/op.h"

namespace scene {

/// votes[b, c] [B, K] f32 = the sum over the `neighbours` members m with the largest similarity[b, m] (of equal ones
/// the lower m) of softmax over them of similarity/temperature, where label[m] = c. All members vote where there are
/// fewer; zeros where there is none. similarity [B, M] f32, NaN counts as -infinity. label [M] I32 in 0 .. K - 1,
/// or negative: a padding slot, no member. A label beyond is refused on a CPU, and no member on a GPU, which does not
/// look before it runs. AdaNPC (Zhang et al., ICML 2023, arXiv 2304.12566), equation of its prediction.
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
