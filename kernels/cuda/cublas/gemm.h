#pragma once

#include <memory>

#include "kernels/cuda/gemm.h"

namespace scene::cuda {

/// Opens cuBLASLt. Throws Error with one line if that fails.
void load_cublas();

/// Matrix products by cuBLASLt, which is opened here if it was not. With `tensor_cores`, F32 operands may be rounded to
/// TF32. Throws Error with one line.
std::unique_ptr<Gemm> make_cublas_gemm(bool tensor_cores);

} // namespace scene::cuda
