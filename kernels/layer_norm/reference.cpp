#include "kernels/layer_norm/layer_norm.h"

#include <cmath>
#include <vector>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void forward(const LayerNormForward<Tensor>& op) {
    const int64_t width = op.gamma.shape[0], rows = op.x.elements() / width;
    const Real *x = values<Real>(op.x), *branch = values<Real>(op.branch);
    const Real *gamma = values<Real>(op.gamma), *beta = values<Real>(op.beta);
    Real *y = values<Real>(op.y), *moments = values<Real>(op.moments);
    std::vector<Real> sum(static_cast<size_t>(width));
    for (int64_t row = 0; row < rows; ++row) {
        Real mean = 0, variance = 0;
        for (int64_t d = 0; d < width; ++d) {
            const int64_t i = row * width + d;
            sum[d] = x[i] + branch[i] * dropout_factor<Real>(op.dropout, op.control, i);
            mean += sum[d];
        }
        mean /= static_cast<Real>(width);
        for (int64_t d = 0; d < width; ++d) variance += (sum[d] - mean) * (sum[d] - mean);
        const Real inv_std = 1 / std::sqrt(variance / static_cast<Real>(width) + static_cast<Real>(op.epsilon));
        for (int64_t d = 0; d < width; ++d) y[row * width + d] = (sum[d] - mean) * inv_std * gamma[d] + beta[d];
        moments[2 * row] = mean;
        moments[2 * row + 1] = inv_std;
    }
}

template <typename Real> void backward(const LayerNormBackward<Tensor>& op) {
    const int64_t width = op.gamma.shape[0], rows = op.x.elements() / width;
    const Real *x = values<Real>(op.x), *branch = values<Real>(op.branch), *gamma = values<Real>(op.gamma);
    const Real *dy = values<Real>(op.dy), *moments = values<Real>(op.moments);
    Real *dx = values<Real>(op.dx), *dbranch = values<Real>(op.dbranch);
    Real *dgamma = values<Real>(op.dgamma), *dbeta = values<Real>(op.dbeta);
    std::fill_n(dgamma, width, Real(0));
    std::fill_n(dbeta, width, Real(0));
    for (int64_t row = 0; row < rows; ++row) {
        const Real mean = moments[2 * row], inv_std = moments[2 * row + 1];
        const auto factor = [&](int64_t i) { return dropout_factor<Real>(op.dropout, op.control, i); };
        const auto xhat = [&](int64_t i) { return (x[i] + branch[i] * factor(i) - mean) * inv_std; };
        Real mean_g = 0, mean_g_xhat = 0;
        for (int64_t d = 0; d < width; ++d) {
            const int64_t i = row * width + d;
            mean_g += dy[i] * gamma[d] / static_cast<Real>(width);
            mean_g_xhat += dy[i] * gamma[d] * xhat(i) / static_cast<Real>(width);
            dgamma[d] += dy[i] * xhat(i);
            dbeta[d] += dy[i];
        }
        for (int64_t d = 0; d < width; ++d) {
            const int64_t i = row * width + d;
            dx[i] = inv_std * (dy[i] * gamma[d] - mean_g - xhat(i) * mean_g_xhat);
            dbranch[i] = dx[i] * factor(i);
        }
    }
}

} // namespace

void run(const LayerNormForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const LayerNormBackward<Tensor>& op) {
    with_real(op.x, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference
