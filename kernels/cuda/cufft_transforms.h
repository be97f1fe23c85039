#pragma once

#include <memory>

#include "kernels/cuda/libraries.h"

namespace scene::cuda {

/// cuFFT's transforms, loaded late; throws Error with one line where that fails, or where cuFFT's header was missing
/// when this was built.
std::unique_ptr<FourierTransforms> make_cufft_transforms();

} // namespace scene::cuda
