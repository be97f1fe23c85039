#pragma once

// Ops that are not in folders of their own yet, as their records.

#include "kernels/backend.h"

namespace scene {

inline void run(const Conv2dBnStatistics<Tensor>& o, Backend& b) {
    b.conv2d_norm_statistics(o.mean, o.variance, o.moments, o.x, o.w, o.scratch, o.shape);
}
inline size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>& o, const Backend& b) {
    return b.conv2d_norm_statistics_scratch_bytes(o.shape);
}
inline void run(const Conv2dBnReluBackward<Tensor>& o, Backend& b) {
    b.conv2d_norm_backward(o.dx, o.dw, o.dgamma, o.dbeta, o.da, o.a, o.x, o.w, o.moments, o.mean, o.inv_std, o.scale,
                           o.scratch, o.shape);
}
inline size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>& o, const Backend& b) {
    return b.conv2d_norm_backward_scratch_bytes(o.shape);
}

} // namespace scene
