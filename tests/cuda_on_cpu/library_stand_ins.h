#pragma once

#include <functional>
#include <memory>

#include "kernels/cuda/libraries.h"

namespace scene::test {

/// In the place of cuDNN, cuBLASLt and cuFFT: CpuBackend's convolutions, matrix products and Fourier sums on the
/// emulated device's memory, in order with the kernels. Halves are widened before and rounded once after. `seconds`
/// says how long a pass takes; without it there are no times, as without a device.
using TaskSeconds = std::function<double(const cuda::ConvolutionTask&)>;
std::unique_ptr<cuda::Convolutions> convolutions_on_cpu(DType activation, TaskSeconds seconds = {});
std::unique_ptr<cuda::MatrixProducts> products_on_cpu();
std::unique_ptr<cuda::FourierTransforms> transforms_on_cpu();

} // namespace scene::test
