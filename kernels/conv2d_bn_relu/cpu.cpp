// Plain loops in double. The CPU's planner does not offer the closed form: its convolutions compute the statistics of y
// while they write it, which costs less.

#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"

#include <algorithm>

#include "kernels/operands.h"

namespace scene::cpu {
namespace {

struct Patches {
    const float* x;
    Conv2dShape shape;

    int64_t elements() const { return shape.kernel * shape.kernel * shape.in_channels; }
    int64_t count() const { return shape.batch * shape.out_height() * shape.out_width(); }

    /// Calls visit(element, index into x) for the elements of patch i that lie inside the input.
    template <typename Visit> void for_elements(int64_t i, Visit&& visit) const {
        const int64_t q = i % shape.out_width(), p = i / shape.out_width() % shape.out_height();
        const int64_t clip = i / shape.out_width() / shape.out_height(), channels = shape.in_channels;
        for (int64_t r = 0; r < shape.kernel; ++r) {
            const int64_t h = p * shape.stride - shape.padding + r;
            if (h < 0 || h >= shape.height) continue;
            for (int64_t s = 0; s < shape.kernel; ++s) {
                const int64_t w = q * shape.stride - shape.padding + s;
                if (w < 0 || w >= shape.width) continue;
                for (int64_t c = 0; c < channels; ++c)
                    visit((r * shape.kernel + s) * channels + c,
                          ((clip * shape.height + h) * shape.width + w) * channels + c);
            }
        }
    }
    /// to [T] = patch i, zeros in the padding.
    void gather(double* to, int64_t i) const {
        std::fill_n(to, elements(), 0.0);
        for_elements(i, [&](int64_t element, int64_t at) { to[element] = static_cast<double>(x[at]); });
    }
};

double product(const float* a, const double* b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
}

/// Parts of the scratch, in doubles: one patch, m and C.
struct StatisticsScratch {
    int64_t patch, mean, covariance;

    explicit StatisticsScratch(const Conv2dShape& shape) {
        const int64_t elements = shape.kernel * shape.kernel * shape.in_channels;
        patch = mean = elements;
        covariance = elements * elements;
    }
    size_t bytes() const { return static_cast<size_t>(patch + mean + covariance) * sizeof(double); }
};

/// Parts of the scratch, in doubles: one patch, S [K, T], the sum of dz [K] and dx.
struct BackwardScratch {
    int64_t patch, sums, sum_dz, dx;

    BackwardScratch(const Conv2dShape& shape, bool wants_dx)
        : patch(shape.kernel * shape.kernel * shape.in_channels), sums(shape.out_channels * patch),
          sum_dz(shape.out_channels), dx(wants_dx ? shape.x().elements() : 0) {}
    size_t bytes() const { return static_cast<size_t>(patch + sums + sum_dz + dx) * sizeof(double); }
};

} // namespace

size_t scratch_bytes(const Conv2dBnStatistics<TensorSpec>& op, const Planning&) {
    return StatisticsScratch(op.shape).bytes();
}

void run(const Conv2dBnStatistics<Tensor>& op, Context&) {
    const Conv2dShape& shape = op.shape;
    const Patches patches{floats(op.x, shape.x(), "x"), shape};
    const int64_t elements = patches.elements(), channels = shape.out_channels;
    const double count = static_cast<double>(patches.count());
    const float* w = floats(op.w, shape.w(), "w");
    float *to_mean = floats(op.mean, {channels}, "mean"), *to_variance = floats(op.variance, {channels}, "variance");
    float* moments = floats(op.moments, {1 + elements, elements}, "moments");
    const StatisticsScratch parts(shape);
    auto* patch = scratch_of<double>(op.scratch, parts.bytes());
    double *mean = patch + parts.patch, *covariance = mean + parts.mean;
    std::fill_n(mean, parts.mean + parts.covariance, 0.0);

    for (int64_t i = 0; i < patches.count(); ++i)
        patches.for_elements(
            i, [&](int64_t element, int64_t at) { mean[element] += static_cast<double>(patches.x[at]) / count; });
    for (int64_t i = 0; i < patches.count(); ++i) {
        patches.gather(patch, i);
        for (int64_t a = 0; a < elements; ++a) patch[a] -= mean[a];
        for (int64_t a = 0; a < elements; ++a) {
            for (int64_t b = 0; b < elements; ++b) covariance[a * elements + b] += patch[a] * patch[b] / count;
        }
    }
    for (int64_t k = 0; k < channels; ++k) {
        const float* filter = w + k * elements;
        to_mean[k] = static_cast<float>(product(filter, mean, elements));
        double sum = 0;
        for (int64_t a = 0; a < elements; ++a)
            sum += static_cast<double>(filter[a]) * product(filter, covariance + a * elements, elements);
        to_variance[k] = static_cast<float>(sum);
    }
    for (int64_t i = 0; i < (1 + elements) * elements; ++i) moments[i] = static_cast<float>(mean[i]); // C follows m
}

size_t scratch_bytes(const Conv2dBnReluBackward<TensorSpec>& op, const Planning&) {
    return BackwardScratch(op.shape, static_cast<bool>(op.dx)).bytes();
}

void run(const Conv2dBnReluBackward<Tensor>& op, Context&) {
    const Conv2dShape& shape = op.shape;
    const Patches patches{floats(op.x, shape.x(), "x"), shape};
    const int64_t elements = patches.elements(), channels = shape.out_channels;
    const double count = static_cast<double>(patches.count());
    const float *da = floats(op.da, shape.y(), "da"), *a = floats(op.a, shape.y(), "a");
    const float *w = floats(op.w, shape.w(), "w"), *m = floats(op.moments, {1 + elements, elements}, "moments");
    const float *mean = floats(op.mean, {channels}, "mean"), *inv_std = floats(op.inv_std, {channels}, "inv_std");
    const float* scale = floats(op.scale, {channels}, "scale");
    float *dw = floats(op.dw, shape.w(), "dw"), *dx = optional_floats(op.dx, shape.x(), "dx");
    float *dgamma = floats(op.dgamma, {channels}, "dgamma"), *dbeta = floats(op.dbeta, {channels}, "dbeta");
    const BackwardScratch parts(shape, dx != nullptr);
    auto* patch = scratch_of<double>(op.scratch, parts.bytes());
    double *sums = patch + parts.patch, *sum_dz = sums + parts.sums, *sum_dx = sum_dz + parts.sum_dz;
    std::fill_n(sums, parts.sums + parts.sum_dz + parts.dx, 0.0);
    const auto dz = [&](int64_t i, int64_t k) {
        return a[i * channels + k] > 0 ? static_cast<double>(da[i * channels + k]) : 0.0;
    };

    for (int64_t i = 0; i < patches.count(); ++i) {
        patches.gather(patch, i);
        for (int64_t k = 0; k < channels; ++k) {
            sum_dz[k] += dz(i, k);
            for (int64_t t = 0; t < elements; ++t)
                sums[k * elements + t] += dz(i, k) * (patch[t] - static_cast<double>(m[t]));
        }
    }
    for (int64_t k = 0; k < channels; ++k) {
        const double* sum = sums + k * elements;
        const double inverse = inv_std[k], gain = inverse * product(w + k * elements, sum, elements);
        dgamma[k] = static_cast<float>(gain);
        dbeta[k] = static_cast<float>(sum_dz[k]);
        for (int64_t t = 0; t < elements; ++t) {
            double of_norm = 0; // (C w)[t]
            for (int64_t b = 0; b < elements; ++b)
                of_norm += static_cast<double>(m[(1 + t) * elements + b]) * static_cast<double>(w[k * elements + b]);
            dw[k * elements + t] =
                static_cast<float>(static_cast<double>(scale[k]) * (sum[t] - gain * inverse * of_norm));
        }
    }
    if (!dx) return;

    for (int64_t i = 0; i < patches.count(); ++i) {
        patches.gather(patch, i);
        for (int64_t k = 0; k < channels; ++k) {
            const float* filter = w + k * elements;
            const double xhat =
                (product(filter, patch, elements) - static_cast<double>(mean[k])) * static_cast<double>(inv_std[k]);
            const double dy = static_cast<double>(scale[k]) * (dz(i, k) - static_cast<double>(dbeta[k]) / count -
                                                               xhat * static_cast<double>(dgamma[k]) / count);
            patches.for_elements(
                i, [&](int64_t element, int64_t at) { sum_dx[at] += static_cast<double>(filter[element]) * dy; });
        }
    }
    for (int64_t i = 0; i < parts.dx; ++i) dx[i] = static_cast<float>(sum_dx[i]);
}

} // namespace scene::cpu
