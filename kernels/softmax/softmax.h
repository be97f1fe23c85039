#pragma once

#include "kernels/op.h"

namespace scene {

/// probabilities [N, K] f32 = softmax(logits).
template <class T> struct Softmax {
    static constexpr std::string_view name = "softmax";
    Out<T> probabilities;
    In<T> logits;
};

} // namespace scene
