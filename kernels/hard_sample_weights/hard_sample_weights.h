#pragma once

#include "kernels/hard_sample_weights/confidence.h"
#include "kernels/op.h"

namespace scene {

/// weight[r] = 1/(confidence + 1e-8) over the rows with member[r] != 0, scaled to mean 1 over them; 1 elsewhere.
/// confidence = confidence_of(probabilities[r], measure), probabilities [R, K] f32, K >= 2; member I32 [R]; weight f32
/// [R]. Paper, equation (1).
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
