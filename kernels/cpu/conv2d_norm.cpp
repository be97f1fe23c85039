// The readable reference of kernels/cuda/conv2d_norm.cu. The CPU's own training does not use it: its convolutions give
// the statistics while they write their output.

#include <vector>

#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

namespace scene::cpu {
namespace {

struct Windows {
    const float* x;
    Conv2dShape shape;

    int64_t taps() const { return shape.kernel * shape.kernel * shape.in_channels; }
    int64_t count() const { return shape.batch * shape.out_height() * shape.out_width(); }

    /// Calls visit(tap, index into x) for the taps of window i that lie inside the input.
    template <typename Visit> void for_taps(int64_t i, Visit&& visit) const {
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
    std::vector<double> window(int64_t i) const {
        std::vector<double> values(static_cast<size_t>(taps()), 0.0);
        for_taps(i, [&](int64_t tap, int64_t at) { values[static_cast<size_t>(tap)] = x[at]; });
        return values;
    }
};

double product(const float* a, const double* b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
}

} // namespace

void CpuBackend::conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w, Tensor,
                                        const Conv2dShape& shape) {
    const Windows windows{floats(x, shape.x(), "x"), shape};
    const int64_t taps = windows.taps(), channels = shape.out_channels;
    const double count = static_cast<double>(windows.count());
    const float* filters = floats(w, shape.w(), "w");
    float *to_mean = floats(mean, {channels}, "mean"), *to_variance = floats(variance, {channels}, "variance");
    float* to_moments = floats(moments, {1 + taps, taps}, "moments");

    std::vector<double> m(static_cast<size_t>(taps), 0.0), covariance(static_cast<size_t>(taps * taps), 0.0);
    for (int64_t i = 0; i < windows.count(); ++i)
        windows.for_taps(i, [&](int64_t tap, int64_t at) { m[static_cast<size_t>(tap)] += windows.x[at] / count; });
    for (int64_t i = 0; i < windows.count(); ++i) {
        std::vector<double> centred = windows.window(i);
        for (int64_t a = 0; a < taps; ++a) centred[static_cast<size_t>(a)] -= m[static_cast<size_t>(a)];
        for (int64_t a = 0; a < taps; ++a) {
            for (int64_t b = 0; b < taps; ++b)
                covariance[static_cast<size_t>(a * taps + b)] +=
                    centred[static_cast<size_t>(a)] * centred[static_cast<size_t>(b)] / count;
        }
    }
    for (int64_t k = 0; k < channels; ++k) {
        const float* filter = filters + k * taps;
        to_mean[k] = static_cast<float>(product(filter, m.data(), taps));
        double sum = 0;
        for (int64_t a = 0; a < taps; ++a)
            sum += static_cast<double>(filter[a]) * product(filter, covariance.data() + a * taps, taps);
        to_variance[k] = static_cast<float>(sum);
    }
    std::copy(m.begin(), m.end(), to_moments);
    std::copy(covariance.begin(), covariance.end(), to_moments + taps);
}

size_t CpuBackend::conv2d_norm_statistics_scratch_bytes(const Conv2dShape&) const { return 0; }

void CpuBackend::conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                                      Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale, Tensor,
                                      const Conv2dShape& shape) {
    const Windows windows{floats(x, shape.x(), "x"), shape};
    const int64_t taps = windows.taps(), channels = shape.out_channels;
    const double count = static_cast<double>(windows.count());
    const float *gradient = floats(da, shape.y(), "da"), *output = floats(a, shape.y(), "a");
    const float *filters = floats(w, shape.w(), "w"), *m = floats(moments, {1 + taps, taps}, "moments");
    const float *centre = floats(mean, {channels}, "mean"), *inverse = floats(inv_std, {channels}, "inv_std");
    const float* factor = floats(scale, {channels}, "scale");
    float *to_dw = floats(dw, shape.w(), "dw"), *to_dx = optional_floats(dx, shape.x(), "dx");
    float *to_dgamma = floats(dgamma, {channels}, "dgamma"), *to_dbeta = floats(dbeta, {channels}, "dbeta");
    const auto dz = [&](int64_t i, int64_t k) {
        return output[i * channels + k] > 0 ? static_cast<double>(gradient[i * channels + k]) : 0.0;
    };

    std::vector<double> sums(static_cast<size_t>(channels * taps), 0.0), sum_dz(static_cast<size_t>(channels), 0.0);
    for (int64_t i = 0; i < windows.count(); ++i) {
        const std::vector<double> window = windows.window(i);
        for (int64_t k = 0; k < channels; ++k) {
            sum_dz[static_cast<size_t>(k)] += dz(i, k);
            for (int64_t t = 0; t < taps; ++t)
                sums[static_cast<size_t>(k * taps + t)] +=
                    dz(i, k) * (window[static_cast<size_t>(t)] - static_cast<double>(m[t]));
        }
    }
    for (int64_t k = 0; k < channels; ++k) {
        const double* sum = sums.data() + k * taps;
        const double inv = inverse[k], gain = inv * product(filters + k * taps, sum, taps);
        to_dgamma[k] = static_cast<float>(gain);
        to_dbeta[k] = static_cast<float>(sum_dz[static_cast<size_t>(k)]);
        for (int64_t t = 0; t < taps; ++t) {
            double spread = 0;
            for (int64_t b = 0; b < taps; ++b)
                spread += static_cast<double>(m[(1 + t) * taps + b]) * static_cast<double>(filters[k * taps + b]);
            to_dw[k * taps + t] = static_cast<float>(static_cast<double>(factor[k]) * (sum[t] - gain * inv * spread));
        }
    }
    if (!to_dx) return;

    std::vector<double> total(static_cast<size_t>(shape.x().elements()), 0.0);
    for (int64_t i = 0; i < windows.count(); ++i) {
        const std::vector<double> window = windows.window(i);
        for (int64_t k = 0; k < channels; ++k) {
            const float* filter = filters + k * taps;
            const double normed = (product(filter, window.data(), taps) - static_cast<double>(centre[k])) *
                                  static_cast<double>(inverse[k]);
            const double dy = static_cast<double>(factor[k]) * (dz(i, k) - static_cast<double>(to_dbeta[k]) / count -
                                                                normed * static_cast<double>(to_dgamma[k]) / count);
            windows.for_taps(i, [&](int64_t tap, int64_t at) {
                total[static_cast<size_t>(at)] += static_cast<double>(filter[tap]) * dy;
            });
        }
    }
    std::copy(total.begin(), total.end(), to_dx);
}

size_t CpuBackend::conv2d_norm_backward_scratch_bytes(const Conv2dShape&) const { return 0; }

} // namespace scene::cpu
