#pragma once

// What the CUDA backend leaves to libraries. cudnn_convolutions.h, cublas_products.h and cufft_transforms.h implement
// it; tests put their own in their place.

#include <string>

#include <cuda_runtime.h>

#include "kernels/backend.h"

namespace scene::cuda {

/// The three passes of a 2-d convolution. All tensors of a pass are of the activation type, channels last; sums are
/// float.
class Convolutions {
public:
    virtual ~Convolutions() = default;
    /// "cuDNN 9.19.0"
    virtual std::string version() const = 0;
    virtual size_t scratch_bytes(const Conv2dShape& shape, ConvPass pass) = 0;
    /// y = conv(x, w), or dx from dy and w, or dw from dy and x: the output is x, w or y by the pass. Queued on
    /// `stream`. `scratch`: scratch_bytes(shape, pass) of device memory, 256-byte aligned.
    virtual void run(const Conv2dShape& shape, ConvPass pass, void* x, void* w, void* y, void* scratch,
                     cudaStream_t stream) = 0;
};

/// c [rows, columns] = a b, or += when `accumulate`; all row-major, dense, of one type; a and b given transposed where
/// asked. Sums are float.
struct Product {
    int64_t rows = 0, columns = 0, terms = 0;
    bool transpose_a = false; ///< a is [terms, rows] in memory
    bool transpose_b = false; ///< b is [columns, terms] in memory
    bool accumulate = false;
    DType type = DType::F32; ///< F32 or F16
    auto operator<=>(const Product&) const = default;
};

class MatrixProducts {
public:
    virtual ~MatrixProducts() = default;
    /// "cuBLASLt 13.1.0"
    virtual std::string version() const = 0;
    virtual size_t scratch_bytes() const = 0;
    virtual void multiply(const Product& product, void* c, const void* a, const void* b, void* scratch,
                          cudaStream_t stream) = 0;
};

/// Fourier transforms of real rows, in double. Only the comparison with the kernel of log_mel needs them.
class FourierTransforms {
public:
    virtual ~FourierTransforms() = default;
    /// "cuFFT 12.0.0"
    virtual std::string version() const = 0;
    virtual size_t scratch_bytes(int points, int64_t rows) = 0;
    /// spectra [rows, points/2 + 1] complex: X[k] = sum_n x[n] exp(-2 pi i k n / points), from x [rows, points] double,
    /// which may be overwritten. Queued on `stream`. `scratch`: scratch_bytes(points, rows), 256-byte aligned.
    virtual void run(int points, int64_t rows, double2* spectra, double* x, void* scratch, cudaStream_t stream) = 0;
};

} // namespace scene::cuda
