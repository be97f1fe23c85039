#include "kernels/conv2d_bn_reduce/conv2d_bn_reduce.h"

#include <algorithm>

#include "kernels/conv2d/conv2d.h"
#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void data_grad_bn_reduce(const Conv2dDataGradBnReduce<Tensor>& op) {
    run(Conv2dDataGrad<Tensor>{.dx = op.dz, .dy = op.dy, .w = op.w, .shape = op.shape});
    const Real *x = values<Real>(op.norm_x), *mean = values<Real>(op.mean), *inv_std = values<Real>(op.inv_std);
    const Real *gamma = values<Real>(op.gamma), *beta = values<Real>(op.beta);
    Real *dz = values<Real>(op.dz), *dgamma = values<Real>(op.dgamma), *dbeta = values<Real>(op.dbeta);
    const int64_t channels = op.shape.in_channels;
    std::fill_n(dgamma, channels, Real(0));
    std::fill_n(dbeta, channels, Real(0));
    for (int64_t i = 0; i < op.dz.elements(); ++i) {
        const int64_t c = i % channels;
        const Real xhat = (x[i] - mean[c]) * inv_std[c];
        if (!(gamma[c] * xhat + beta[c] > 0)) dz[i] = 0;
        dgamma[c] += dz[i] * xhat;
        dbeta[c] += dz[i];
    }
}

} // namespace

void run(const Conv2dDataGradBnReduce<Tensor>& op) {
    with_real(op.dy, [&](auto real) { data_grad_bn_reduce<decltype(real)>(op); });
}

} // namespace scene::reference
