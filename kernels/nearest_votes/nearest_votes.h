#pragma once

#include "kernels/op.h"

namespace scene {

/// votes[b, c] [B, K] f32 = sum over the `neighbours` members m with the largest similarity[b, m] (equal ones: lowest m
/// first) of softmax over them of similarity/temperature, where label[m] = c. similarity [B, M] f32; label [M] I32 in 0
/// .. K - 1, or negative: a padding slot, no member. All members vote where there are fewer; zeros where there is none.
/// AdaNPC (Zhang et al., ICML 2023, arXiv 2304.12566), equation of its prediction.
template <class T> struct NearestVotes {
    static constexpr std::string_view name = "nearest_votes";
    Out<T> votes;
    In<T> similarity, label;
    int64_t neighbours;
    float temperature;
};

} // namespace scene
