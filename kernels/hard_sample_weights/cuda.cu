#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/hard_sample_weights/hard_sample_weights.h"

namespace scene::cuda {
namespace {

constexpr int threads = 512;

/// A single block makes two passes over the rows; the op runs only once in each stage of training.
__global__ void __launch_bounds__(threads)
    weigh(float* weight, const float* probabilities, const int32_t* member, int rows, int classes, Confidence measure) {
    double* sums = dynamic_shared<double>(); // [2][warps]
    double sum = 0, members = 0;
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += threads) {
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
    members = block_sum(members, sums + threads / warp_lanes);
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += threads)
        if (member[r] != 0) weight[r] = static_cast<float>(static_cast<double>(weight[r]) * (members / sum));
}

} // namespace

void run(const HardSampleWeights<Tensor>& op, Context& cuda) {
    check_rank(op.probabilities, 2, "probabilities");
    const Shape& shape = op.probabilities.shape;
    const int64_t rows = shape[0];
    launch(weigh, dim3(1), dim3(threads), 2 * (threads / warp_lanes) * sizeof(double), cuda.stream,
           floats(op.weight, {rows}, "weight"), floats(op.probabilities, shape, "probabilities"),
           indices(op.member, {rows}, "member"), static_cast<int>(rows), static_cast<int>(shape[1]), op.measure);
}

} // namespace scene::cuda
