#pragma once

#include <cstddef>
#include <memory>

#include "kernels/cuda/libraries.h"

namespace scene::cuda {

/// Loads cuBLASLt; throws Error with one line where that fails.
void load_cublas();

/// Of any product: what cuBLAS takes for itself on compute capability 9.0.
constexpr size_t cublas_workspace_bytes = size_t{32} << 20;

/// cuBLASLt's matrix products, loaded late; with `tensor_cores` operands may be rounded to TF32.
std::unique_ptr<Gemm> make_cublas_gemm(bool tensor_cores);

} // namespace scene::cuda
