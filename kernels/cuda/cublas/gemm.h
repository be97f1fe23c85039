#pragma once

#include <memory>

#include "kernels/cuda/gemm.h"

namespace scene::cuda {

/// Loads cuBLASLt; throws Error with one line where that fails.
void load_cublas();

/// cuBLASLt's matrix products, loaded late; with `tensor_cores` operands may be rounded to TF32.
std::unique_ptr<Gemm> make_cublas_gemm(bool tensor_cores);

} // namespace scene::cuda
