#include "kernels/accumulate_metrics/accumulate_metrics.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// The first of equal maxima.
__device__ int arg_max(const float* values, int count) {
    int at = 0;
    for (int k = 1; k < count; ++k)
        if (values[k] > values[at]) at = k;
    return at;
}

/// One block. Integer atomics commute, so their order does not change the confusion matrix.
__global__ void __launch_bounds__(block_threads)
    add_batch(double* loss_sum, int32_t* confusion, const float* loss, const float* probabilities, const float* target,
              int batch, int classes) {
    double* shared = dynamic_shared<double>();
    double sum = 0;
    for (int n = static_cast<int>(threadIdx.x); n < batch; n += block_threads) {
        sum += static_cast<double>(loss[n]);
        const float* truth = target + static_cast<int64_t>(n) * classes;
        const int label = arg_max(truth, classes);
        if (!(truth[label] > 0)) continue;
        const int predicted = arg_max(probabilities + static_cast<int64_t>(n) * classes, classes);
        atomicAdd(confusion + label * classes + predicted, 1);
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) *loss_sum += sum;
}

} // namespace

void run(const AccumulateMetrics<Tensor>& op, Context& cuda) {
    check_rank(op.probabilities, 2, "probabilities");
    const Shape& shape = op.probabilities.shape;
    const int64_t batch = shape[0], classes = shape[1];
    launch(add_batch, dim3(1), dim3(block_threads), block_threads / warp_lanes * sizeof(double), cuda.stream,
           operand<double>(op.loss_sum, {1}, "loss_sum"), indices(op.confusion, {classes, classes}, "confusion"),
           floats(op.loss, {batch}, "loss"), floats(op.probabilities, shape, "probabilities"),
           floats(op.target, shape, "target"), static_cast<int>(batch), static_cast<int>(classes));
}

} // namespace scene::cuda
