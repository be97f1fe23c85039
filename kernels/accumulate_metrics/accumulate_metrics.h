#pragma once

#include "kernels/op.h"

namespace scene {

/// Adds a batch of N clips to the loss and the confusion matrix of an epoch.
/// - loss_sum F64 [1] += sum of loss [N] f32, in double.
/// - confusion I32 [K, K] += 1 at [argmax of the target][argmax of the probabilities], for each labelled clip.
///
/// target and probabilities are f32 [N, K]; the argmax is the first of equal maxima. A target without a value above 0
/// is unlabelled: its clip counts in loss_sum alone.
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
