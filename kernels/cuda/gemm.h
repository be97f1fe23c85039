#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include <cuda_runtime.h>

#include "kernels/tensor.h"

namespace scene::cuda {

/// c [rows, columns] = (or += when `accumulate`) a [rows, k] * b [k, columns]. All three are row-major, dense and of
/// one type. Sums are float.
struct Product {
    int64_t rows = 0, columns = 0, k = 0;
    bool transpose_a = false; ///< a is stored as [k, rows]
    bool transpose_b = false; ///< b is stored as [columns, k]
    bool accumulate = false;
    DType type = DType::F32; ///< F32, F16 or BF16
    auto operator<=>(const Product&) const = default;
};

/// Bytes of workspace for cuBLASLt: as many as cuBLAS takes by default on compute capability 9.0.
constexpr size_t cublas_workspace_bytes = size_t{32} << 20;

/// Matrix products. make_cublas_gemm (cublas/gemm.h) implements it; tests substitute their own.
class Gemm {
public:
    virtual ~Gemm() = default;
    /// "cuBLASLt 13.1.0"
    virtual std::string version() const = 0;
    /// Bytes that `multiply` needs for any product.
    virtual size_t workspace_bytes() const { return cublas_workspace_bytes; }
    /// Queued on `stream`. `workspace`: workspace_bytes() of device memory, 16-byte aligned.
    virtual void multiply(const Product& product, void* c, const void* a, const void* b, void* workspace,
                          cudaStream_t stream) = 0;
};

} // namespace scene::cuda
