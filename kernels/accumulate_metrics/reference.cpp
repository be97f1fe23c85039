#include "kernels/accumulate_metrics/accumulate_metrics.h"

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// The first of equal maxima.
template <typename Real> int64_t arg_max(const Real* row, int64_t count) {
    int64_t at = 0;
    for (int64_t k = 1; k < count; ++k)
        if (row[k] > row[at]) at = k;
    return at;
}

template <typename Real> void accumulate(const AccumulateMetrics<Tensor>& op) {
    const int64_t batch = op.probabilities.shape[0], classes = op.probabilities.shape[1];
    const Real *loss = values<Real>(op.loss), *probabilities = values<Real>(op.probabilities);
    const Real* target = values<Real>(op.target);
    auto* loss_sum = op.loss_sum.as<double>();
    auto* confusion = op.confusion.as<int32_t>();
    for (int64_t n = 0; n < batch; ++n) {
        *loss_sum += static_cast<double>(loss[n]);
        const int64_t label = arg_max(target + n * classes, classes);
        const int64_t predicted = arg_max(probabilities + n * classes, classes);
        if (target[n * classes + label] > 0) confusion[label * classes + predicted] += 1;
    }
}

} // namespace

void run(const AccumulateMetrics<Tensor>& op) {
    with_real(op.probabilities, [&](auto real) { accumulate<decltype(real)>(op); });
}

} // namespace scene::reference
