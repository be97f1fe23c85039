#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"

#include <algorithm>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// im2col: patch i is the part of x that output position i = (n, p, q) reads.
template <typename Real> struct Patches {
    const Real* x;
    Conv2dShape shape;

    int64_t elements() const { return shape.kernel * shape.kernel * shape.in_channels; }
    int64_t count() const { return shape.batch * shape.out_height() * shape.out_width(); }

    /// Index into x of element t = (r, s, c) of patch i; -1 in the padding.
    int64_t index(int64_t i, int64_t t) const {
        const int64_t n = i / (shape.out_height() * shape.out_width());
        const int64_t p = i / shape.out_width() % shape.out_height(), q = i % shape.out_width();
        const int64_t r = t / (shape.kernel * shape.in_channels);
        const int64_t s = t / shape.in_channels % shape.kernel, c = t % shape.in_channels;
        const int64_t h = p * shape.stride - shape.padding + r, w = q * shape.stride - shape.padding + s;
        if (h < 0 || h >= shape.height || w < 0 || w >= shape.width) return -1;
        return ((n * shape.height + h) * shape.width + w) * shape.in_channels + c;
    }
    Real operator()(int64_t i, int64_t t) const { return index(i, t) < 0 ? Real(0) : x[index(i, t)]; }
};

template <typename Real> void statistics(const Conv2dBnStatistics<Tensor>& op) {
    const Patches<Real> patch{values<Real>(op.x), op.shape};
    const int64_t rows = patch.count(), width = patch.elements();
    const Real* w = values<Real>(op.w);
    Real *mean = values<Real>(op.mean), *variance = values<Real>(op.variance);
    Real *m = values<Real>(op.moments), *covariance = m + width;
    for (int64_t t = 0; t < width; ++t) {
        m[t] = 0;
        for (int64_t i = 0; i < rows; ++i) m[t] += patch(i, t);
        m[t] /= static_cast<Real>(rows);
    }
    for (int64_t t = 0; t < width; ++t) {
        for (int64_t u = 0; u < width; ++u) {
            Real& sum = covariance[t * width + u];
            sum = 0;
            for (int64_t i = 0; i < rows; ++i) sum += (patch(i, t) - m[t]) * (patch(i, u) - m[u]);
            sum /= static_cast<Real>(rows);
        }
    }
    for (int64_t k = 0; k < op.shape.out_channels; ++k) {
        mean[k] = variance[k] = 0;
        for (int64_t t = 0; t < width; ++t) {
            mean[k] += w[k * width + t] * m[t];
            for (int64_t u = 0; u < width; ++u)
                variance[k] += w[k * width + t] * covariance[t * width + u] * w[k * width + u];
        }
    }
}

template <typename Real> void backward(const Conv2dBnReluBackward<Tensor>& op) {
    const Patches<Real> patch{values<Real>(op.x), op.shape};
    const int64_t rows = patch.count(), width = patch.elements(), channels = op.shape.out_channels;
    const Real *da = values<Real>(op.da), *a = values<Real>(op.a), *w = values<Real>(op.w);
    const Real *m = values<Real>(op.moments), *covariance = m + width;
    const Real *mean = values<Real>(op.mean), *inv_std = values<Real>(op.inv_std), *scale = values<Real>(op.scale);
    Real *dx = values<Real>(op.dx), *dw = values<Real>(op.dw);
    Real *dgamma = values<Real>(op.dgamma), *dbeta = values<Real>(op.dbeta);
    const auto dz = [&](int64_t i, int64_t k) { return a[i * channels + k] > 0 ? da[i * channels + k] : Real(0); };

    std::vector<Real> sums(static_cast<size_t>(width)); // S
    for (int64_t k = 0; k < channels; ++k) {
        const Real* filter = w + k * width;
        dbeta[k] = dgamma[k] = 0;
        for (int64_t i = 0; i < rows; ++i) dbeta[k] += dz(i, k);
        for (int64_t t = 0; t < width; ++t) {
            sums[t] = 0;
            for (int64_t i = 0; i < rows; ++i) sums[t] += dz(i, k) * (patch(i, t) - m[t]);
            dgamma[k] += inv_std[k] * filter[t] * sums[t];
        }
        for (int64_t t = 0; t < width; ++t) {
            Real product = 0; // (C w)[t]
            for (int64_t u = 0; u < width; ++u) product += covariance[t * width + u] * filter[u];
            dw[k * width + t] = scale[k] * (sums[t] - dgamma[k] * inv_std[k] * product);
        }
    }
    if (!dx) return;
    std::fill_n(dx, op.dx.elements(), Real(0));
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t k = 0; k < channels; ++k) {
            Real y = 0;
            for (int64_t t = 0; t < width; ++t) y += w[k * width + t] * patch(i, t);
            const Real xhat = (y - mean[k]) * inv_std[k];
            const Real dy =
                scale[k] * (dz(i, k) - dbeta[k] / static_cast<Real>(rows) - xhat * dgamma[k] / static_cast<Real>(rows));
            for (int64_t t = 0; t < width; ++t)
                if (patch.index(i, t) >= 0) dx[patch.index(i, t)] += w[k * width + t] * dy;
        }
    }
}

} // namespace

void run(const Conv2dBnStatistics<Tensor>& op) {
    with_real(op.x, [&](auto real) { statistics<decltype(real)>(op); });
}
void run(const Conv2dBnReluBackward<Tensor>& op) {
    with_real(op.x, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference
