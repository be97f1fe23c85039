#include "kernels/conv2d/conv2d.h"

#include <algorithm>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// Calls visit(y index, x index, w index) for every multiply-add of the convolution.
template <typename Visit> void for_each_product(const Conv2dShape& s, Visit&& visit) {
    for (int64_t n = 0; n < s.batch; ++n) {
        for (int64_t p = 0; p < s.out_height(); ++p) {
            for (int64_t q = 0; q < s.out_width(); ++q) {
                for (int64_t k = 0; k < s.out_channels; ++k) {
                    const int64_t y = ((n * s.out_height() + p) * s.out_width() + q) * s.out_channels + k;
                    for (int64_t r = 0; r < s.kernel; ++r) {
                        const int64_t h = p * s.stride - s.padding + r;
                        if (h < 0 || h >= s.height) continue;
                        for (int64_t t = 0; t < s.kernel; ++t) {
                            const int64_t v = q * s.stride - s.padding + t;
                            if (v < 0 || v >= s.width) continue;
                            const int64_t x = ((n * s.height + h) * s.width + v) * s.in_channels;
                            const int64_t w = ((k * s.kernel + r) * s.kernel + t) * s.in_channels;
                            for (int64_t c = 0; c < s.in_channels; ++c) visit(y, x + c, w + c);
                        }
                    }
                }
            }
        }
    }
}

/// The convolution's input: x, or relu(scale*x + shift) if there is a scale.
template <typename Real> std::vector<Real> input_of(const Tensor& x, const Tensor& scale, const Tensor& shift) {
    std::vector<Real> z(values<Real>(x), values<Real>(x) + x.elements());
    if (!scale) return z;
    const size_t channels = static_cast<size_t>(scale.elements());
    for (size_t i = 0; i < z.size(); ++i)
        z[i] = std::max(values<Real>(scale)[i % channels] * z[i] + values<Real>(shift)[i % channels], Real(0));
    return z;
}

template <typename Real> void statistics(Real* mean, Real* variance, const Real* y, int64_t rows, int64_t channels) {
    std::fill_n(mean, channels, Real(0));
    std::fill_n(variance, channels, Real(0));
    for (int64_t i = 0; i < rows * channels; ++i) mean[i % channels] += y[i];
    for (int64_t k = 0; k < channels; ++k) mean[k] /= static_cast<Real>(rows);
    for (int64_t i = 0; i < rows * channels; ++i) {
        const Real difference = y[i] - mean[i % channels];
        variance[i % channels] += difference * difference;
    }
    for (int64_t k = 0; k < channels; ++k) variance[k] /= static_cast<Real>(rows);
}

template <typename Real> void forward(const Conv2dForward<Tensor>& op) {
    const std::vector<Real> x = input_of<Real>(op.x, op.input_scale, op.input_shift);
    const Real *w = values<Real>(op.prepared_w ? op.prepared_w : op.w), *bias = values<Real>(op.bias);
    Real* y = values<Real>(op.y);
    const int64_t elements = op.y.elements(), channels = op.shape.out_channels;
    std::fill_n(y, elements, Real(0));
    for_each_product(op.shape, [&](int64_t i, int64_t j, int64_t k) { y[i] += x[static_cast<size_t>(j)] * w[k]; });
    for (int64_t i = 0; i < elements; ++i) {
        if (bias) y[i] += bias[i % channels];
        if (op.relu) y[i] = std::max(y[i], Real(0));
    }
    if (op.mean) statistics(values<Real>(op.mean), values<Real>(op.variance), y, elements / channels, channels);
}

template <typename Real> void data_grad(const Conv2dDataGrad<Tensor>& op) {
    const Real *dy = values<Real>(op.dy), *w = values<Real>(op.w);
    Real* dx = values<Real>(op.dx);
    std::fill_n(dx, op.dx.elements(), Real(0));
    for_each_product(op.shape, [&](int64_t i, int64_t j, int64_t k) { dx[j] += dy[i] * w[k]; });
}

template <typename Real> void weight_grad(const Conv2dWeightGrad<Tensor>& op) {
    const std::vector<Real> x = input_of<Real>(op.x, op.input_scale, op.input_shift);
    const Real* dy = values<Real>(op.dy);
    Real* dw = values<Real>(op.dw);
    std::fill_n(dw, op.dw.elements(), Real(0));
    for_each_product(op.shape, [&](int64_t i, int64_t j, int64_t k) { dw[k] += dy[i] * x[static_cast<size_t>(j)]; });
}

template <typename Real> void fold(const FoldConvWeights<Tensor>& op) {
    const int64_t filter = op.w.elements() / op.scale.elements();
    for (int64_t i = 0; i < op.w.elements(); ++i)
        values<Real>(op.folded_w)[i] = values<Real>(op.w)[i] * values<Real>(op.scale)[i / filter];
}

} // namespace

void run(const Conv2dForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const Conv2dDataGrad<Tensor>& op) {
    with_real(op.dy, [&](auto real) { data_grad<decltype(real)>(op); });
}
void run(const Conv2dWeightGrad<Tensor>& op) {
    with_real(op.x, [&](auto real) { weight_grad<decltype(real)>(op); });
}
void run(const Conv2dPrepareWeights<Tensor>& op) {
    with_real(op.w, [&](auto real) {
        using Real = decltype(real);
        std::copy_n(values<Real>(op.w), op.w.elements(), values<Real>(op.prepared));
    });
}
void run(const FoldConvWeights<Tensor>& op) {
    with_real(op.w, [&](auto real) { fold<decltype(real)>(op); });
}

} // namespace scene::reference
