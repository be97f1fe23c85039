#pragma once

#include <memory>
#include <string>

#include <cuda_runtime.h>

namespace scene::cuda {

/// Fourier transforms of real rows, in double. make_cufft_transforms implements them; tests substitute their own.
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

/// Opens cuFFT. Throws Error with one line if that fails, or if this was built without cuFFT's header.
std::unique_ptr<FourierTransforms> make_cufft_transforms();

} // namespace scene::cuda
