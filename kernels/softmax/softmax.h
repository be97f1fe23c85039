#pragma once

#include "kernels/op.h"

namespace scene {

/// probabilities f32 [N, K] = softmax(logits) over the K classes. logits [N, K] of the activation type.
template <class T> struct Softmax {
    static constexpr std::string_view name = "softmax";
    Out<T> probabilities;
    In<T> logits;
};

namespace reference {
void run(const Softmax<Tensor>&);
}
namespace cpu {
void run(const Softmax<Tensor>&, Context&);
}
namespace cuda {
void run(const Softmax<Tensor>&, Context&);
}

} // namespace scene
