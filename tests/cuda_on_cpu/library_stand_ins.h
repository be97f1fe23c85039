#pragma once

#include <functional>
#include <memory>

#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/cufft/transforms.h"
#include "kernels/cuda/gemm.h"

namespace scene::test {

// Stand-ins for cuDNN, cuBLASLt and cuFFT: convolutions, matrix products and Fourier transforms on the CPU, on the
// emulated device's memory and in order with its kernels. Halves are widened before and rounded once after.

/// How long a task takes. Without it no task has a time, as without a device.
using TaskSeconds = std::function<double(const cuda::ConvolutionTask&)>;
/// Why no engine runs a task; empty if one does.
using TaskFailure = std::function<std::string(const cuda::ConvolutionTask&)>;
std::unique_ptr<cuda::Convolutions> convolutions_on_cpu(DType activation, TaskSeconds seconds = {},
                                                        TaskFailure failure = {});
/// The smallest number of streams that existed when a stand-in was destroyed, since a test set this variable.
extern int least_streams_at_close;

std::unique_ptr<cuda::Gemm> gemm_on_cpu();
std::unique_ptr<cuda::FourierTransforms> transforms_on_cpu();

} // namespace scene::test
