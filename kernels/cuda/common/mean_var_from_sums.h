#pragma once

#include <cuda_runtime.h>

#include "kernels/tensor.h"

namespace scene::cuda {

/// mean and biased variance, f32 [C], of `rows` values per channel, from their sum and sum of squares, f32 [C], which a
/// convolution with statistics writes. E[y^2] - E[y]^2 cancels: with float sums the variance has a relative error of
/// about 1e-7*(1 + mean^2/variance), where BatchNormStatistics has 1e-7. The variance is never negative; NaN
/// propagates.
void mean_var_from_sums(Tensor mean, Tensor variance, Tensor sum, Tensor square_sum, int64_t rows, cudaStream_t stream);

} // namespace scene::cuda
