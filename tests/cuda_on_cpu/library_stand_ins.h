#pragma once

#include <functional>
#include <memory>

#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/cufft/transforms.h"
#include "kernels/cuda/gemm.h"

namespace scene::test {

/// In the place of cuDNN, cuBLASLt and cuFFT: the CPU's convolutions, matrix products and Fourier sums on the
/// emulated device's memory, in order with the kernels. Halves are widened before and rounded once after. `seconds`
/// says how long a pass takes; without it there are no times, as without a device. `failure` says why no engine runs
/// it, or nothing.
using TaskSeconds = std::function<double(const cuda::ConvolutionTask&)>;
using TaskFailure = std::function<std::string(const cuda::ConvolutionTask&)>;
std::unique_ptr<cuda::Convolutions> convolutions_on_cpu(DType activation, TaskSeconds seconds = {},
                                                        TaskFailure failure = {});
/// The fewest streams that there were when one of them was destroyed, since this was set.
extern int least_streams_at_close;

std::unique_ptr<cuda::Gemm> gemm_on_cpu();
std::unique_ptr<cuda::FourierTransforms> transforms_on_cpu();

} // namespace scene::test
