#include "kernels/softmax/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void softmax(const Softmax<Tensor>& op) {
    const int64_t batch = op.logits.shape[0], classes = op.logits.shape[1];
    for (int64_t n = 0; n < batch; ++n) {
        const Real* logit = values<Real>(op.logits) + n * classes;
        Real* p = values<Real>(op.probabilities) + n * classes;
        const Real largest = *std::max_element(logit, logit + classes);
        Real sum = 0;
        for (int64_t k = 0; k < classes; ++k) sum += std::exp(logit[k] - largest);
        for (int64_t k = 0; k < classes; ++k) p[k] = std::exp(logit[k] - largest) / sum;
    }
}

} // namespace

void run(const Softmax<Tensor>& op) {
    with_real(op.logits, [&](auto real) { softmax<decltype(real)>(op); });
}

} // namespace scene::reference
