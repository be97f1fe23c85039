#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

/// The first of equal maxima.
__device__ int arg_max(const float* values, int count) {
    int at = 0;
    for (int k = 1; k < count; ++k)
        if (values[k] > values[at]) at = k;
    return at;
}

/// One block; counts are whole numbers, so the order of the atomics does not matter.
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

constexpr int weight_threads = 1024;

/// One block, twice over the rows: once per stage of training.
__global__ void __launch_bounds__(weight_threads)
    weigh(float* weight, const float* probabilities, const int32_t* member, int rows, int classes, Confidence measure) {
    double* sums = dynamic_shared<double>(); // [2][warps]
    double sum = 0, members = 0;
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += weight_threads) {
        float value = 1;
        if (member[r] != 0) {
            const float* p = probabilities + static_cast<int64_t>(r) * classes;
            value = static_cast<float>(1.0 / (confidence_of(p, classes, measure) + 1e-8));
            sum += static_cast<double>(value);
            members += 1;
        }
        weight[r] = value;
    }
    sum = block_sum(sum, sums);
    members = block_sum(members, sums + weight_threads / warp_lanes);
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += weight_threads)
        if (member[r] != 0) weight[r] = static_cast<float>(static_cast<double>(weight[r]) * (members / sum));
}

} // namespace

void accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities, Tensor target,
                        cudaStream_t stream) {
    check_rank(probabilities, 2, "probabilities");
    const int64_t batch = probabilities.shape[0], classes = probabilities.shape[1];
    check_tensor(loss_sum, DType::F64, {1}, "loss_sum");
    launch(add_batch, dim3(1), dim3(block_threads), block_threads / warp_lanes * sizeof(double), stream,
           static_cast<double*>(loss_sum.data), indices(confusion, {classes, classes}, "confusion"),
           floats(loss, {batch}, "loss"), floats(probabilities, probabilities.shape, "probabilities"),
           floats(target, probabilities.shape, "target"), static_cast<int>(batch), static_cast<int>(classes));
}

void hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure, cudaStream_t stream) {
    check_rank(probabilities, 2, "probabilities");
    const int64_t rows = probabilities.shape[0];
    launch(weigh, dim3(1), dim3(weight_threads), 2 * (weight_threads / warp_lanes) * sizeof(double), stream,
           floats(weight, {rows}, "weight"), floats(probabilities, probabilities.shape, "probabilities"),
           indices(member, {rows}, "member"), static_cast<int>(rows), static_cast<int>(probabilities.shape[1]),
           measure);
}

} // namespace scene::cuda
