// The CPU's own training does not use it: batch_norm_backward does all of that in two passes.

#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

namespace scene::cpu {

void CpuBackend::batch_norm_apply_gradient(Tensor dx, Tensor dz, Tensor x, Tensor mean, Tensor inv_std, Tensor scale,
                                           Tensor dgamma, Tensor dbeta) {
    const int64_t channels = channels_of(x, "x");
    const Shape per_channel{channels};
    const float *gradient = floats(dz, x.shape, "dz"), *from = floats(x, x.shape, "x");
    const float *centre = floats(mean, per_channel, "mean"), *inverse = floats(inv_std, per_channel, "inv_std");
    const float *factor = floats(scale, per_channel, "scale"), *sum_normed = floats(dgamma, per_channel, "dgamma");
    const float* sum = floats(dbeta, per_channel, "dbeta");
    float* to = floats(dx, x.shape, "dx");
    const float one_row = static_cast<float>(channels) / static_cast<float>(x.elements());
    for (int64_t i = 0; i < x.elements(); ++i) {
        const int64_t c = i % channels;
        const float normed = (from[i] - centre[c]) * inverse[c];
        to[i] = factor[c] * (gradient[i] - sum[c] * one_row - normed * sum_normed[c] * one_row);
    }
}

} // namespace scene::cpu
