#include "kernels/embedding/embedding.h"

#include <algorithm>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void forward(const EmbeddingForward<Tensor>& op) {
    const int64_t count = op.y.shape[0], size = op.y.shape[1];
    const Real* table = values<Real>(op.table);
    const int32_t* index = op.index.as<int32_t>();
    Real* y = values<Real>(op.y);
    for (int64_t n = 0; n < count; ++n)
        for (int64_t e = 0; e < size; ++e) y[n * size + e] = index[n] < 0 ? Real(0) : table[index[n] * size + e];
}

template <typename Real> void backward(const EmbeddingBackward<Tensor>& op) {
    const int64_t count = op.dy.shape[0], size = op.dy.shape[1];
    const Real* dy = values<Real>(op.dy);
    const int32_t* index = op.index.as<int32_t>();
    Real* dtable = values<Real>(op.dtable);
    std::fill_n(dtable, op.dtable.elements(), Real(0));
    for (int64_t n = 0; n < count; ++n)
        for (int64_t e = 0; e < size; ++e)
            if (index[n] >= 0) dtable[index[n] * size + e] += dy[n * size + e];
}

} // namespace

void run(const EmbeddingForward<Tensor>& op) {
    with_real(op.y, [&](auto real) { forward<decltype(real)>(op); });
}
void run(const EmbeddingBackward<Tensor>& op) {
    with_real(op.dy, [&](auto real) { backward<decltype(real)>(op); });
}

} // namespace scene::reference
