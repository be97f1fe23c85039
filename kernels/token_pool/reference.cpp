#include "kernels/token_pool/token_pool.h"

#include <algorithm>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// visit(element of x, element of y, the token's positions) for every position that a token averages.
template <typename Visit> void for_each_term(const Shape& x, int64_t tokens, Visit&& visit) {
    const int64_t clips = x[0], height = x[1], width = x[2], channels = x[3];
    for (int64_t n = 0; n < clips; ++n)
        for (int64_t t = 0; t < tokens; ++t) {
            const int64_t first = t * height / tokens, end = ((t + 1) * height + tokens - 1) / tokens;
            for (int64_t h = first; h < end; ++h)
                for (int64_t w = 0; w < width; ++w)
                    for (int64_t c = 0; c < channels; ++c)
                        visit(((n * height + h) * width + w) * channels + c, (n * tokens + t) * channels + c,
                              (end - first) * width);
        }
}

template <typename Real> void forward(const TokenPoolForward<Tensor>& op) {
    const Real* x = values<Real>(op.x);
    Real* y = values<Real>(op.y);
    std::fill_n(y, op.y.elements(), Real(0));
    for_each_term(op.x.shape, op.y.shape[1], [&](int64_t i, int64_t token, int64_t positions) {
        y[token] += x[i] / static_cast<Real>(positions);
    });
}

template <typename Real> void backward(const TokenPoolBackward<Tensor>& op) {
    const Real* dy = values<Real>(op.dy);
    Real* dx = values<Real>(op.dx);
    std::fill_n(dx, op.dx.elements(), Real(0));
    for_each_term(op.dx.shape, op.dy.shape[1], [&](int64_t i, int64_t token, int64_t positions) {
        dx[i] += dy[token] / static_cast<Real>(positions);
    });
}

} // namespace

void run(const TokenPoolForward<Tensor>& op) {
    with_real(op.x, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const TokenPoolBackward<Tensor>& op) {
    with_real(op.dx, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference
