#include "kernels/hard_sample_weights/hard_sample_weights.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// confidence_of (kernels/hard_sample_weights/confidence.h), in Real.
template <typename Real> Real confidence(const Real* p, int64_t classes, Confidence measure) {
    if (measure == Confidence::MaxSoftmax) return *std::max_element(p, p + classes);
    const Real count = static_cast<Real>(classes);
    Real entropy = 0;
    for (int64_t k = 0; k < classes; ++k)
        if (p[k] > 0) entropy -= p[k] * std::log(p[k]);
    return std::max(1 - entropy / std::log(count), 1 / count);
}

template <typename Real> void weigh(const HardSampleWeights<Tensor>& op) {
    const int64_t rows = op.probabilities.shape[0], classes = op.probabilities.shape[1];
    const Real* probabilities = values<Real>(op.probabilities);
    const auto* member = op.member.as<int32_t>();
    Real* weight = values<Real>(op.weight);
    Real sum = 0, members = 0;
    for (int64_t r = 0; r < rows; ++r) {
        weight[r] = 1;
        if (member[r] == 0) continue;
        weight[r] = 1 / (confidence(probabilities + r * classes, classes, op.measure) + Real(1e-8));
        sum += weight[r];
        members += 1;
    }
    for (int64_t r = 0; r < rows; ++r)
        if (member[r] != 0) weight[r] *= members / sum;
}

} // namespace

void run(const HardSampleWeights<Tensor>& op) {
    with_real(op.probabilities, [&](auto real) { weigh<decltype(real)>(op); });
}

} // namespace scene::reference
