#include "kernels/deltas/deltas.h"

#include <algorithm>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// The least-squares fit to equidistant points is a sum of orthogonal polynomials p, each with the coefficient
/// sum(p(i) x[c + i])/sum(p(i)^2). For i = -4 .. 4 that of degree 1 is i, and that of degree 2 is i^2 - 20/3, whose
/// second derivative is 2.
template <typename Real> void deltas(const Deltas<Tensor>& op) {
    const int64_t clips = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
    const Real* x = values<Real>(op.x);
    Real* y = values<Real>(op.y);
    for (int64_t n = 0; n < clips; ++n)
        for (int64_t t = 0; t < frames; ++t)
            for (int64_t f = 0; f < bands; ++f) {
                const int64_t centre = std::clamp<int64_t>(t, 4, frames - 5);
                Real line = 0, parabola = 0, line_norm = 0, parabola_norm = 0;
                for (int64_t i = -4; i <= 4; ++i) {
                    const Real value = x[(n * frames + centre + i) * bands + f];
                    const Real first = static_cast<Real>(i), second = first * first - Real(20) / 3;
                    line += first * value;
                    line_norm += first * first;
                    parabola += second * value;
                    parabola_norm += second * second;
                }
                const int64_t at = (n * frames + t) * bands + f;
                y[3 * at] = x[at];
                y[3 * at + 1] = line / line_norm;
                y[3 * at + 2] = 2 * parabola / parabola_norm;
            }
}

} // namespace

void run(const Deltas<Tensor>& op) {
    with_real(op.x, [&](auto real) { deltas<decltype(real)>(op); });
}

} // namespace scene::reference
