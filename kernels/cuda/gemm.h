#pragma once

#include <string>

#include <cuda_runtime.h>

#include "kernels/tensor.h"

namespace scene::cuda {

/// c [m, n] = a [m, k] b [k, n], or += when `accumulate`; all row-major, dense, of one type; a and b given transposed
/// where asked. Sums are float.
struct GemmShape {
    int64_t m = 0, n = 0, k = 0;
    bool transpose_a = false; ///< a is [k, m] in memory
    bool transpose_b = false; ///< b is [n, k] in memory
    bool accumulate = false;
    DType type = DType::F32; ///< F32 or F16
    auto operator<=>(const GemmShape&) const = default;
};

/// Of every product: what cuBLAS takes for itself on compute capability 9.0.
constexpr size_t gemm_workspace_bytes = size_t{32} << 20;

class Gemm {
public:
    virtual ~Gemm() = default;
    /// "cuBLASLt 13.1.0"
    virtual std::string version() const = 0;
    /// `workspace`: gemm_workspace_bytes, 256-byte aligned.
    virtual void multiply(const GemmShape& shape, void* c, const void* a, const void* b, void* workspace,
                          cudaStream_t stream) = 0;
};

} // namespace scene::cuda
