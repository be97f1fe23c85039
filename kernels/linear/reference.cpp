#include "kernels/linear/linear.h"

#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> Real activate(Real value, Activation activation) {
    switch (activation) {
    case Activation::None: return value;
    case Activation::Relu: return value <= 0 ? 0 : value;
    case Activation::Sigmoid: return 1 / (1 + std::exp(-value));
    }
    return value;
}

/// The derivative of the activation, as a function of its output.
template <typename Real> Real slope(Real value, Activation activation) {
    switch (activation) {
    case Activation::None: return 1;
    case Activation::Relu: return value > 0 ? 1 : 0;
    case Activation::Sigmoid: return value * (1 - value);
    }
    return 1;
}

template <typename Real> void forward(const LinearForward<Tensor>& op) {
    const int64_t rows = op.x.shape[0], in = op.w.shape[1], out = op.w.shape[0];
    const Real *x = values<Real>(op.x), *w = values<Real>(op.w), *bias = values<Real>(op.bias);
    Real* y = values<Real>(op.y);
    for (int64_t m = 0; m < rows; ++m)
        for (int64_t o = 0; o < out; ++o) {
            Real sum = 0;
            for (int64_t i = 0; i < in; ++i) sum += x[m * in + i] * w[o * in + i];
            if (bias) sum += bias[o];
            y[m * out + o] = activate(sum, op.activation) * dropout_factor<Real>(op.dropout, op.control, m * out + o);
        }
}

template <typename Real> void activation_backward(const LinearActivationBackward<Tensor>& op) {
    const Real *dy = values<Real>(op.dy), *y = values<Real>(op.y);
    Real* dpre = values<Real>(op.dpre);
    const Real kept =
        1 - static_cast<Real>(op.dropout.p); // y*kept is the activation's output: undoes dropout's 1/(1 - p)
    for (int64_t i = 0; i < op.y.elements(); ++i)
        dpre[i] = dy[i] * dropout_factor<Real>(op.dropout, op.control, i) * slope(y[i] * kept, op.activation);
}

template <typename Real> void data_grad(const LinearDataGrad<Tensor>& op) {
    const int64_t rows = op.dpre.shape[0], in = op.w.shape[1], out = op.w.shape[0];
    const Real *dpre = values<Real>(op.dpre), *w = values<Real>(op.w), *addend = values<Real>(op.addend);
    Real* dx = values<Real>(op.dx);
    for (int64_t m = 0; m < rows; ++m)
        for (int64_t i = 0; i < in; ++i) {
            Real sum = 0;
            for (int64_t o = 0; o < out; ++o) sum += dpre[m * out + o] * w[o * in + i];
            dx[m * in + i] = addend ? addend[m * in + i] + sum : sum;
        }
}

template <typename Real> void weight_grad(const LinearWeightGrad<Tensor>& op) {
    const int64_t rows = op.x.shape[0], in = op.dw.shape[1], out = op.dw.shape[0];
    const Real *dpre = values<Real>(op.dpre), *x = values<Real>(op.x);
    Real *dw = values<Real>(op.dw), *dbias = values<Real>(op.dbias);
    for (int64_t o = 0; o < out; ++o) {
        for (int64_t i = 0; i < in; ++i) {
            Real sum = 0;
            for (int64_t m = 0; m < rows; ++m) sum += dpre[m * out + o] * x[m * in + i];
            dw[o * in + i] = sum;
        }
        Real sum = 0;
        for (int64_t m = 0; m < rows; ++m) sum += dpre[m * out + o];
        if (dbias) dbias[o] = sum;
    }
}

} // namespace

void run(const LinearForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const LinearActivationBackward<Tensor>& op) {
    with_real(op.y, [&](auto real) { activation_backward<decltype(real)>(op); });
}
void run(const LinearDataGrad<Tensor>& op) {
    with_real(op.w, [&](auto real) { data_grad<decltype(real)>(op); });
}
void run(const LinearWeightGrad<Tensor>& op) {
    with_real(op.x, [&](auto real) { weight_grad<decltype(real)>(op); });
}

} // namespace scene::reference
