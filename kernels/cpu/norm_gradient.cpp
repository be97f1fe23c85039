// The readable reference of a data gradient that takes in the sums of the batch norm before it. The CPU's own training
// does not use it: batch_norm_backward does all of that in two passes.

#include <vector>

#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

namespace scene::cpu {

void CpuBackend::conv2d_data_grad_norm(Tensor dz, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor w, Tensor norm_x,
                                       Tensor mean, Tensor inv_std, Tensor gamma, Tensor beta, Tensor scratch,
                                       const Conv2dShape& shape) {
    conv2d_data_grad(dz, dy, w, scratch, shape);
    const auto channels = static_cast<size_t>(shape.in_channels);
    const Shape per_channel{shape.in_channels};
    const float *x = floats(norm_x, shape.x(), "norm_x"), *centre = floats(mean, per_channel, "mean");
    const float *inverse = floats(inv_std, per_channel, "inv_std"), *factor = floats(gamma, per_channel, "gamma");
    const float* offset = floats(beta, per_channel, "beta");
    float* gradient = floats(dz, shape.x(), "dz");
    std::vector<double> sum(channels, 0.0), sum_normed(channels, 0.0);
    for (int64_t i = 0; i < dz.elements(); ++i) {
        const size_t c = static_cast<size_t>(i) % channels;
        const float normed = (x[i] - centre[c]) * inverse[c];
        if (!(factor[c] * normed + offset[c] > 0)) gradient[i] = 0;
        sum[c] += static_cast<double>(gradient[i]);
        sum_normed[c] += static_cast<double>(gradient[i]) * static_cast<double>(normed);
    }
    std::copy(sum_normed.begin(), sum_normed.end(), floats(dgamma, per_channel, "dgamma"));
    std::copy(sum.begin(), sum.end(), floats(dbeta, per_channel, "dbeta"));
}

} // namespace scene::cpu
