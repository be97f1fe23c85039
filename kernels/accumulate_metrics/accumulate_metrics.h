#pragma once

#include "kernels/op.h"

namespace scene {

/// loss_sum F64 [1] += the sum of loss [N] f32, in double. confusion I32 [K, K] [true][predicted] += 1 for each clip
/// whose target has a maximum above 0: a row of zeros is unlabelled and is not counted. True and predicted class: the
/// first of equal maxima of target and probabilities [N, K] f32.
template <class T> struct AccumulateMetrics {
    static constexpr std::string_view name = "accumulate_metrics";
    InOut<T> loss_sum, confusion;
    In<T> loss, probabilities, target;
};

namespace reference {
void run(const AccumulateMetrics<Tensor>&);
}
namespace cpu {
void run(const AccumulateMetrics<Tensor>&, Context&);
}
namespace cuda {
void run(const AccumulateMetrics<Tensor>&, Context&);
}

} // namespace scene
