#include "kernels/batch_norm/batch_norm.h"

#include <cmath>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void statistics(const BatchNormStatistics<Tensor>& op) {
    const int64_t channels = op.mean.shape[0], rows = op.x.elements() / channels;
    const Real* x = values<Real>(op.x);
    Real *mean = values<Real>(op.mean), *variance = values<Real>(op.variance);
    for (int64_t c = 0; c < channels; ++c) {
        mean[c] = variance[c] = 0;
        for (int64_t row = 0; row < rows; ++row) mean[c] += x[row * channels + c];
        mean[c] /= static_cast<Real>(rows);
        for (int64_t row = 0; row < rows; ++row) {
            const Real deviation = x[row * channels + c] - mean[c];
            variance[c] += deviation * deviation;
        }
        variance[c] /= static_cast<Real>(rows);
    }
}

template <typename Real> void finalize(const BatchNormFinalize<Tensor>& op) {
    const Real *mean = values<Real>(op.mean), *variance = values<Real>(op.variance);
    const Real *gamma = values<Real>(op.gamma), *beta = values<Real>(op.beta);
    Real *scale = values<Real>(op.scale), *shift = values<Real>(op.shift), *inv_std = values<Real>(op.inv_std);
    Real *running_mean = values<Real>(op.running_mean), *running_variance = values<Real>(op.running_variance);
    const Real momentum = static_cast<Real>(op.momentum);
    for (int64_t c = 0; c < op.mean.shape[0]; ++c) {
        inv_std[c] = 1 / std::sqrt(variance[c] + static_cast<Real>(op.epsilon));
        scale[c] = gamma[c] * inv_std[c];
        shift[c] = beta[c] - mean[c] * scale[c];
        const Real unbiased = variance[c] * static_cast<Real>(op.rows) / static_cast<Real>(op.rows - 1);
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
        running_variance[c] = (1 - momentum) * running_variance[c] + momentum * unbiased;
    }
}

template <typename Real> void fold(const BatchNormFold<Tensor>& op) {
    const Real *mean = values<Real>(op.running_mean), *variance = values<Real>(op.running_variance);
    const Real *gamma = values<Real>(op.gamma), *beta = values<Real>(op.beta);
    Real *scale = values<Real>(op.scale), *shift = values<Real>(op.shift);
    for (int64_t c = 0; c < op.running_mean.shape[0]; ++c) {
        scale[c] = gamma[c] / std::sqrt(variance[c] + static_cast<Real>(op.epsilon));
        shift[c] = beta[c] - mean[c] * scale[c];
    }
}

/// The input element that an output element comes from, and its z = scale*x + shift.
template <typename Real> struct Source {
    int64_t input;
    Real z;
};

/// The source of output element i: the same element, or with pooling the first of the largest z in its window.
template <typename Real, typename Op> Source<Real> source_of(const Op& op, int64_t i) {
    const Real *x = values<Real>(op.x), *scale = values<Real>(op.scale), *shift = values<Real>(op.shift);
    const int64_t channels = op.scale.shape[0], c = i % channels;
    const auto source = [&](int64_t input) { return Source<Real>{input, scale[c] * x[input] + shift[c]}; };
    if (!op.epilogue.max_pool) return source(i);
    const int64_t height = op.x.shape[1], width = op.x.shape[2], out_height = height / 2, out_width = width / 2;
    const int64_t row = i / channels, q = row % out_width, p = row / out_width % out_height,
                  n = row / out_width / out_height;
    const auto at = [&](int64_t h, int64_t w) { return source(((n * height + h) * width + w) * channels + c); };
    Source<Real> largest = at(2 * p, 2 * q);
    for (const Source<Real>& other : {at(2 * p, 2 * q + 1), at(2 * p + 1, 2 * q), at(2 * p + 1, 2 * q + 1)})
        if (other.z > largest.z || std::isnan(other.z)) largest = other;
    return largest;
}

template <typename Real> void forward(const BatchNormForward<Tensor>& op) {
    Real* y = values<Real>(op.y);
    for (int64_t i = 0; i < op.y.elements(); ++i) {
        const Real z = source_of<Real>(op, i).z;
        y[i] = (op.epilogue.relu && z < 0 ? 0 : z) * dropout_factor<Real>(op.epilogue.dropout, op.control, i);
    }
}

/// dx = scale*(dz - dbeta/M - xhat*dgamma/M). Op has all of these operands except dz.
template <typename Real, typename Op> void apply_gradient(const Op& op, const Real* dz) {
    const Real *x = values<Real>(op.x), *mean = values<Real>(op.mean), *inv_std = values<Real>(op.inv_std);
    const Real *scale = values<Real>(op.scale), *dgamma = values<Real>(op.dgamma), *dbeta = values<Real>(op.dbeta);
    Real* dx = values<Real>(op.dx);
    const int64_t channels = op.mean.shape[0], row_count = op.x.elements() / channels;
    const Real rows = static_cast<Real>(row_count);
    for (int64_t i = 0; i < op.x.elements(); ++i) {
        const int64_t c = i % channels;
        const Real xhat = (x[i] - mean[c]) * inv_std[c];
        dx[i] = scale[c] * (dz[i] - dbeta[c] / rows - xhat * dgamma[c] / rows);
    }
}

template <typename Real> void backward(const BatchNormBackward<Tensor>& op) {
    const Real *x = values<Real>(op.x), *dy = values<Real>(op.dy);
    const Real *mean = values<Real>(op.mean), *inv_std = values<Real>(op.inv_std);
    Real *dgamma = values<Real>(op.dgamma), *dbeta = values<Real>(op.dbeta);
    std::vector<Real> dz(static_cast<size_t>(op.x.elements()), Real(0));
    for (int64_t i = 0; i < op.dy.elements(); ++i) {
        const Source<Real> source = source_of<Real>(op, i);
        if (op.epilogue.relu && !(source.z > 0)) continue;
        dz[source.input] += dy[i] * dropout_factor<Real>(op.epilogue.dropout, op.control, i);
    }
    const int64_t channels = op.mean.shape[0];
    std::fill_n(dgamma, channels, Real(0));
    std::fill_n(dbeta, channels, Real(0));
    for (int64_t i = 0; i < op.x.elements(); ++i) {
        const int64_t c = i % channels;
        dbeta[c] += dz[i];
        dgamma[c] += dz[i] * (x[i] - mean[c]) * inv_std[c];
    }
    if (op.dx) apply_gradient<Real>(op, dz.data());
}

} // namespace

void run(const BatchNormStatistics<Tensor>& op) {
    with_real(op.x, [&](auto real) { statistics<decltype(real)>(op); });
}
void run(const BatchNormFinalize<Tensor>& op) {
    with_real(op.mean, [&](auto real) { finalize<decltype(real)>(op); });
}
void run(const BatchNormFold<Tensor>& op) {
    with_real(op.running_mean, [&](auto real) { fold<decltype(real)>(op); });
}
void run(const BatchNormForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const BatchNormBackward<Tensor>& op) {
    with_real(op.x, [&](auto real) { backward<decltype(real)>(op); });
}
void run(const BatchNormApplyGradient<Tensor>& op) {
    with_real(op.x, [&](auto real) { apply_gradient<decltype(real)>(op, values<decltype(real)>(op.dz)); });
}

} // namespace scene::reference
