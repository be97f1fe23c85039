#include "kernels/accumulate_metrics/accumulate_metrics.h"

#include <algorithm>

#include "kernels/cpu/context.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const AccumulateMetrics<Tensor>& op, Context&) {
    check_rank(op.probabilities, 2, "probabilities");
    const Shape& shape = op.probabilities.shape;
    const int64_t batch = shape[0], classes = shape[1];
    double* sum = operand<double>(op.loss_sum, {1}, "loss_sum");
    int32_t* counts = indices(op.confusion, {classes, classes}, "confusion");
    const float* losses = floats(op.loss, {batch}, "loss");
    const float* p = floats(op.probabilities, shape, "probabilities");
    const float* truth = floats(op.target, shape, "target");
    for (int64_t n = 0; n < batch; ++n) {
        *sum += static_cast<double>(losses[n]);
        const float* t = truth + n * classes;
        const float* q = p + n * classes;
        const float* label = std::max_element(t, t + classes);
        if (*label > 0) ++counts[(label - t) * classes + (std::max_element(q, q + classes) - q)];
    }
}

} // namespace scene::cpu
