#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/common/softmax.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/softmax/softmax.h"

namespace scene::cuda {
namespace {

/// One warp for each row.
template <typename T> __global__ void __launch_bounds__(block_threads)
    softmax_rows(float* probabilities, const T* logits, int rows, int classes) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int64_t row = thread_in_grid() / warp_lanes;
    if (row >= rows) return; // a whole warp at a time
    const int64_t first = row * classes;
    const LogSoftmax log_p = log_softmax_of(logits + first, classes, lane);
    for (int k = lane; k < classes; k += warp_lanes)
        probabilities[first + k] = expf(log_p(to_float(logits[first + k])));
}

} // namespace

void run(const Softmax<Tensor>& op, Context& cuda) {
    check_rank(op.logits, 2, "logits");
    const Shape& shape = op.logits.shape;
    float* probabilities = floats(op.probabilities, shape, "probabilities");
    with_activation_type(op.logits, [&](auto type) {
        using T = decltype(type);
        launch(softmax_rows<T>, blocks_over(shape[0] * warp_lanes), dim3(block_threads), 0, cuda.stream, probabilities,
               static_cast<const T*>(op.logits.data), static_cast<int>(shape[0]), static_cast<int>(shape[1]));
    });
}

} // namespace scene::cuda
