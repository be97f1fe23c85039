#include "kernels/cpu/fft.h"

#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "kernels/error.h"

namespace scene::cpu {
namespace {

/// exp(-2 pi j turns)
std::complex<double> root_of_unity(double turns) { return std::polar(1.0, -2 * std::numbers::pi * turns); }

inline ComplexLanes operator+(const ComplexLanes& a, const ComplexLanes& b) { return {a.re + b.re, a.im + b.im}; }
inline ComplexLanes operator-(const ComplexLanes& a, const ComplexLanes& b) { return {a.re - b.re, a.im - b.im}; }
inline ComplexLanes operator*(const ComplexLanes& a, const std::complex<double>& w) {
    return {a.re * w.real() - a.im * w.imag(), a.re * w.imag() + a.im * w.real()};
}
inline ComplexLanes times_minus_j(const ComplexLanes& a) { return {a.im, -a.re}; }

/// In-place DFT of Points values, in natural order, within registers.
template <int Points> inline void butterfly(ComplexLanes (&x)[Points]) {
    static_assert(Points == 4 || Points == 8);
    if constexpr (Points == 4) {
        const ComplexLanes a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = times_minus_j(x[1] - x[3]);
        x[0] = a + c;
        x[1] = b + d;
        x[2] = a - c;
        x[3] = b - d;
    } else {
        ComplexLanes even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
        butterfly<4>(even);
        butterfly<4>(odd);
        constexpr double diagonal = std::numbers::sqrt2 / 2;
        const ComplexLanes odd1{(odd[1].re + odd[1].im) * diagonal, (odd[1].im - odd[1].re) * diagonal};
        const ComplexLanes odd2 = times_minus_j(odd[2]);
        const ComplexLanes odd3{(odd[3].im - odd[3].re) * diagonal, -(odd[3].re + odd[3].im) * diagonal};
        x[0] = even[0] + odd[0];
        x[1] = even[1] + odd1;
        x[2] = even[2] + odd2;
        x[3] = even[3] + odd3;
        x[4] = even[0] - odd[0];
        x[5] = even[1] - odd1;
        x[6] = even[2] - odd2;
        x[7] = even[3] - odd3;
    }
}

/// The first of the two radices of an FFT of Points; both are 4 or 8.
template <int Points> constexpr int first_radix = Points == 64 ? 8 : 4;

template <int Points> std::array<std::complex<double>, Points> make_small_twiddles() {
    constexpr int second = Points / first_radix<Points>;
    std::array<std::complex<double>, Points> twiddles;
    for (int k = 0; k < first_radix<Points>; ++k)
        for (int i = 0; i < second; ++i)
            twiddles[static_cast<size_t>(k * second + i)] = root_of_unity(static_cast<double>(k * i) / Points);
    return twiddles;
}
/// Made at first use: no code of kernels/cpu may run before the processor is known to support it.
template <int Points> const std::array<std::complex<double>, Points>& small_twiddles() {
    static const std::array<std::complex<double>, Points> twiddles = make_small_twiddles<Points>();
    return twiddles;
}

/// out[k] = sum_i in[i * stride] exp(-2 pi j i k / Points)
template <int Points> void small_fft(ComplexLanes* out, const ComplexLanes* in, ptrdiff_t stride) {
    if constexpr (Points <= 8) {
        ComplexLanes x[Points];
        for (int i = 0; i < Points; ++i) x[i] = in[i * stride];
        butterfly<Points>(x);
        for (int k = 0; k < Points; ++k) out[k] = x[k];
    } else {
        constexpr int first = first_radix<Points>, second = Points / first;
        const auto& twiddles = small_twiddles<Points>();
        ComplexLanes halfway[Points]; // [first][second]
        for (int i = 0; i < second; ++i) {
            ComplexLanes x[first];
            for (int f = 0; f < first; ++f) x[f] = in[(f * second + i) * stride];
            butterfly<first>(x);
            for (int k = 0; k < first; ++k)
                halfway[k * second + i] = x[k] * twiddles[static_cast<size_t>(k * second + i)];
        }
        for (int k = 0; k < first; ++k) {
            ComplexLanes x[second];
            for (int i = 0; i < second; ++i) x[i] = halfway[k * second + i];
            butterfly<second>(x);
            for (int s = 0; s < second; ++s) out[k + first * s] = x[s];
        }
    }
}

constexpr int most_points = 64;

auto small_fft_of(int points) {
    switch (points) {
    case 4: return small_fft<4>;
    case 8: return small_fft<8>;
    case 16: return small_fft<16>;
    case 32: return small_fft<32>;
    default: return small_fft<most_points>;
    }
}

inline void store_power(float* power, const ComplexLanes& x) {
    const LanesF32 value = __builtin_convertvector(x.re * x.re + x.im * x.im, LanesF32);
    for (int lane = 0; lane < lanes; ++lane) power[lane] = value[lane];
}

/// Rows of the matrix of n/2 = 2^b points: 2^ceil(b/2).
int rows_of(int n) { return 1 << std::bit_width(static_cast<unsigned>(n / 2)) / 2; }

/// One column of padding, so that the elements of a column do not share a cache set.
int pitch_of(int n) { return n / 2 / rows_of(n) + 1; }

} // namespace

size_t RealFft::buffer_size(int n) { return static_cast<size_t>(rows_of(n)) * static_cast<size_t>(pitch_of(n)); }

RealFft::RealFft(int n) : n_(n) {
    SCENE_CHECK(n >= smallest && n <= largest && std::has_single_bit(static_cast<unsigned>(n)),
                "an FFT size is a power of two from 32 to 8192");
    const int points = n / 2;
    rows_ = rows_of(n);
    columns_ = points / rows_;
    column_bits_ = std::countr_zero(static_cast<unsigned>(columns_));
    pitch_ = pitch_of(n);
    column_fft_ = small_fft_of(rows_);
    row_fft_ = small_fft_of(columns_);
    for (int column = 0; column < columns_; ++column)
        for (int k = 0; k < rows_; ++k) twiddles_.push_back(root_of_unity(static_cast<double>(column * k) / points));
    for (int row = 0; row <= rows_ / 2; ++row)
        for (int column = 0; column < columns_; ++column)
            separator_.push_back(root_of_unity(static_cast<double>(row + rows_ * column) / n));
}

void RealFft::power(float* power, ptrdiff_t stride, ComplexLanes* buffer) const {
    transform_columns(buffer);
    transform_rows(power, stride, buffer);
}

/// Row k of the buffer becomes the k-th value of every column's FFT, times its twiddle.
void RealFft::transform_columns(ComplexLanes* buffer) const {
    ComplexLanes column_values[most_points];
    const std::complex<double>* twiddle = twiddles_.data();
    for (int column = 0; column < columns_; ++column) {
        column_fft_(column_values, buffer + column, pitch_);
        for (int k = 0; k < rows_; ++k) buffer[k * pitch_ + column] = column_values[k] * *twiddle++;
    }
}

/// The FFT of row r gives Z[r + rows*c]. Let E and O be the FFTs of the even and the odd samples. The samples are real
/// and Z = E + jO, so Z[k] and conj(Z[n/2 - k]) give E[k] and O[k]. With w = exp(-2 pi j k / n), X[k] = E[k] + w*O[k]
/// and conj(X[n/2 - k]) = E[k] - w*O[k]. Row r is therefore combined with row rows - r, rows 0 and rows/2 with
/// themselves.
void RealFft::transform_rows(float* power, ptrdiff_t stride, const ComplexLanes* buffer) const {
    ComplexLanes row_values[most_points], mirror_values[most_points];
    for (int row = 0; row <= rows_ / 2; ++row) {
        const int mirror_row = (rows_ - row) % rows_;
        row_fft_(row_values, buffer + row * pitch_, 1);
        const ComplexLanes* mirror = row_values;
        if (mirror_row != row) {
            row_fft_(mirror_values, buffer + mirror_row * pitch_, 1);
            mirror = mirror_values;
        }
        const int pairs = row == 0 ? columns_ / 2 + 1 : mirror_row == row ? columns_ / 2 : columns_;
        const std::complex<double>* separator = separator_.data() + row * columns_;
        for (int column = 0; column < pairs; ++column) {
            const int k = row + rows_ * column;
            const int mirror_column = row == 0 ? (columns_ - column) % columns_ : columns_ - 1 - column;
            const ComplexLanes z = row_values[column];
            const ComplexLanes conjugate{mirror[mirror_column].re, -mirror[mirror_column].im};
            const ComplexLanes even = z + conjugate;
            const ComplexLanes odd = times_minus_j(z - conjugate) * separator[column];
            store_power(power + k * stride, even + odd);
            store_power(power + (n_ / 2 - k) * stride, even - odd);
        }
    }
}

} // namespace scene::cpu
