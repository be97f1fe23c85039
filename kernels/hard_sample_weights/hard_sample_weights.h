#pragma once

#include "kernels/hard_sample_weights/confidence.h"
#include "kernels/op.h"

namespace scene {

/// Equation (1) of the paper: weight[r] = 1/(confidence + 1e-8), scaled so that the mean over all members, the rows
/// with member[r] != 0, is 1. The weight of the other rows is 1. confidence = confidence_of(probabilities[r], K,
/// measure). weight f32 [R]; probabilities f32 [R, K], K >= 2; member I32 [R].
template <class T> struct HardSampleWeights {
    static constexpr std::string_view name = "hard_sample_weights";
    Out<T> weight;
    In<T> probabilities, member;
    Confidence measure;
};

namespace reference {
void run(const HardSampleWeights<Tensor>&);
}
namespace cpu {
void run(const HardSampleWeights<Tensor>&, Context&);
}
namespace cuda {
void run(const HardSampleWeights<Tensor>&, Context&);
}

} // namespace scene
