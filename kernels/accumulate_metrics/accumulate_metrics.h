#pragma once

#include "kernels/op.h"

namespace scene {

/// loss_sum F64 [1] += sum of loss; confusion I32 [K, K] [true][predicted] += 1 per clip whose target has a maximum
/// above 0 (rows of zeros are unlabelled and are not counted). Predicted: first of equal maxima.
template <class T> struct AccumulateMetrics {
    static constexpr std::string_view name = "accumulate_metrics";
    InOut<T> loss_sum, confusion;
    In<T> loss, probabilities, target;
};

} // namespace scene
