#pragma once

// A softmax over few classes: one warp for each row.

#include "kernels/cuda/common/device_code.h"

namespace scene::cuda {

/// log p_k = (logit_k - largest) - log_sum. The first difference is exact where it matters, so that large logits lose
/// no precision.
struct LogSoftmax {
    float largest, log_sum;

    __device__ float operator()(float logit) const { return logit - largest - log_sum; }
};

/// Of one row, in every lane of its warp.
template <typename T> __device__ inline LogSoftmax log_softmax_of(const T* logits, int classes, int lane) {
    float largest = -INFINITY;
    for (int k = lane; k < classes; k += warp_lanes) largest = larger(largest, to_float(logits[k]));
    largest = warp_max(largest);
    float sum = 0;
    for (int k = lane; k < classes; k += warp_lanes) sum += expf(to_float(logits[k]) - largest);
    return {largest, logf(warp_sum(sum))};
}

} // namespace scene::cuda
