#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/common/softmax.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/softmax_loss/softmax_loss.h"

namespace scene::cuda {
namespace {

/// One warp for each row. `gradient` may be null.
template <typename T> __global__ void __launch_bounds__(block_threads)
    softmax_loss_rows(T* gradient, float* loss, float* probabilities, const T* logits, const float* target,
                      const float* weight, const StepControl* control, int rows, int classes, float smoothing) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int64_t row = thread_in_grid() / warp_lanes;
    if (row >= rows) return; // a whole warp at a time
    const int64_t first = row * classes;
    const LogSoftmax log_softmax = log_softmax_of(logits + first, classes, lane);
    const float clip_weight = weight[row];
    const float gradient_scale = gradient ? control->loss_scale / static_cast<float>(rows) * clip_weight : 0.0f;
    const float floor = smoothing / static_cast<float>(classes);
    float cross_entropy = 0;
    for (int k = lane; k < classes; k += warp_lanes) {
        const float log_p = log_softmax(to_float(logits[first + k])), p = expf(log_p);
        const float q = (1 - smoothing) * target[first + k] + floor;
        probabilities[first + k] = p;
        cross_entropy -= q * log_p;
        if (gradient) gradient[first + k] = from_float<T>(gradient_scale * (p - q));
    }
    cross_entropy = warp_sum(cross_entropy);
    if (lane == 0) loss[row] = clip_weight * cross_entropy;
}

} // namespace

void run(const SoftmaxLoss<Tensor>& op, Context& cuda) {
    check_rank(op.logits, 2, "logits");
    const Shape& shape = op.logits.shape;
    if (op.dlogits) check_tensor(op.dlogits, op.logits.dtype, shape, "dlogits");
    float* loss = floats(op.loss, {shape[0]}, "loss");
    float* probabilities = floats(op.probabilities, shape, "probabilities");
    const float* target = floats(op.target, shape, "target");
    const float* weight = floats(op.weight, {shape[0]}, "weight");
    const StepControl* control = op.dlogits ? &step_control(op.control) : nullptr;
    with_activation_type(op.logits, [&](auto type) {
        using T = decltype(type);
        launch(softmax_loss_rows<T>, blocks_over(shape[0] * warp_lanes), dim3(block_threads), 0, cuda.stream,
               static_cast<T*>(op.dlogits.data), loss, probabilities, static_cast<const T*>(op.logits.data), target,
               weight, control, static_cast<int>(shape[0]), static_cast<int>(shape[1]), op.smoothing);
    });
}

} // namespace scene::cuda
