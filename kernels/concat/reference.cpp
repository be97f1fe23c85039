#include "kernels/concat/concat.h"

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// Calls visit(part, element of the part, element of the whole) for every element.
template <class Parts, typename Visit> void for_each_element(const Parts& parts, const Shape& whole, Visit&& visit) {
    int64_t first = 0;
    for (const Tensor& part : parts) {
        if (!part) continue;
        const int64_t rows = part.shape[0], columns = part.shape[1];
        for (int64_t n = 0; n < rows; ++n)
            for (int64_t d = 0; d < columns; ++d) visit(part, n * columns + d, n * whole[1] + first + d);
        first += columns;
    }
}

template <typename Real> void forward(const ConcatForward<Tensor>& op) {
    Real* y = values<Real>(op.y);
    for_each_element(op.parts, op.y.shape,
                     [&](const Tensor& part, int64_t from, int64_t to) { y[to] = values<Real>(part)[from]; });
}

template <typename Real> void backward(const ConcatBackward<Tensor>& op) {
    const Real* dy = values<Real>(op.dy);
    for_each_element(op.dparts, op.dy.shape,
                     [&](const Tensor& dpart, int64_t to, int64_t from) { values<Real>(dpart)[to] = dy[from]; });
}

} // namespace

void run(const ConcatForward<Tensor>& op) {
    with_real(op.y, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const ConcatBackward<Tensor>& op) {
    with_real(op.dy, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference
