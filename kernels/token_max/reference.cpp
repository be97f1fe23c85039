#include "kernels/token_max/token_max.h"

#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void forward(const TokenMaxForward<Tensor>& op) {
    const int64_t clips = op.x.shape[0], tokens = op.x.shape[1], features = op.x.shape[2];
    const Real* x = values<Real>(op.x);
    Real* y = values<Real>(op.y);
    int32_t* argmax = op.argmax.as<int32_t>();
    for (int64_t n = 0; n < clips; ++n)
        for (int64_t d = 0; d < features; ++d) {
            const auto at = [&](int64_t t) { return x[(n * tokens + t) * features + d]; };
            int32_t largest = 0;
            for (int32_t t = 1; t < tokens; ++t)
                if (at(t) > at(largest) || std::isnan(at(t))) largest = t;
            y[n * features + d] = at(largest);
            argmax[n * features + d] = largest;
        }
}

template <typename Real> void backward(const TokenMaxBackward<Tensor>& op) {
    const int64_t clips = op.dx.shape[0], tokens = op.dx.shape[1], features = op.dx.shape[2];
    const Real* dy = values<Real>(op.dy);
    const int32_t* argmax = op.argmax.as<int32_t>();
    Real* dx = values<Real>(op.dx);
    for (int64_t n = 0; n < clips; ++n)
        for (int64_t t = 0; t < tokens; ++t)
            for (int64_t d = 0; d < features; ++d)
                dx[(n * tokens + t) * features + d] = argmax[n * features + d] == t ? dy[n * features + d] : Real(0);
}

} // namespace

void run(const TokenMaxForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const TokenMaxBackward<Tensor>& op) {
    with_real(op.dx, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference
