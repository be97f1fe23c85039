#pragma once

// Power spectra of real signals, `lanes` frames at a time (kernels/cpu/frame_lanes.h).

#include <complex>
#include <cstddef>
#include <vector>

#include "kernels/cpu/frame_lanes.h"

namespace scene::cpu {

/// One complex number of each frame.
struct ComplexLanes {
    LanesF64 re, im;
};

/// The FFT of n real samples, computed as one complex FFT of n/2 points z[i] = x[2i] + j x[2i + 1]. The points form a
/// matrix of rows x columns (Bailey's four-step FFT): two passes over memory, and everything else stays in registers
/// and the L1 cache. In double: 80 dB below the peak on a 10 log10(magnitude) scale is a factor of 1e-8, less than the
/// rounding noise of float.
class RealFft {
public:
    static constexpr int smallest = 32, largest = 8192;

    /// `n`: a power of two from `smallest` to `largest`.
    explicit RealFft(int n);

    /// Elements of the buffer that `power` works in, for an FFT of `n` samples.
    static size_t buffer_size(int n);
    /// Index of z[i] in the buffer. `lanes` consecutive samples, from a multiple of `lanes` on, are contiguous.
    size_t position(int i) const { return static_cast<size_t>(i + (i >> column_bits_)); }

    /// power[k * stride + l] = |sum_i x_l[i] exp(-2 pi j i k / n)|^2 for 0 <= k <= n/2 and every lane l, where the
    /// buffer holds x/2, the halved samples. Overwrites the buffer.
    void power(float* power, ptrdiff_t stride, ComplexLanes* buffer) const;

private:
    using SmallFft = void (*)(ComplexLanes* out, const ComplexLanes* in, ptrdiff_t stride);

    void transform_columns(ComplexLanes* buffer) const;
    void transform_rows(float* power, ptrdiff_t stride, const ComplexLanes* buffer) const;

    int n_, rows_, columns_, column_bits_;
    int pitch_;                                   ///< from row to row of the buffer
    SmallFft column_fft_, row_fft_;               ///< of rows_ and of columns_ points
    std::vector<std::complex<double>> twiddles_;  ///< [columns][rows]: exp(-2 pi j column k / (n/2))
    std::vector<std::complex<double>> separator_; ///< [rows/2 + 1][columns]: exp(-2 pi j (r + rows c) / n)
};

} // namespace scene::cpu
