#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

/// The log of the sum of exponentials of one row, in every lane of the warp.
template <typename T> __device__ float log_sum_exp(const T* logits, int classes, int lane) {
    float largest = -INFINITY;
    for (int k = lane; k < classes; k += warp_lanes) largest = larger(largest, to_float(logits[k]));
    largest = warp_max(largest);
    float sum = 0;
    for (int k = lane; k < classes; k += warp_lanes) sum += expf(to_float(logits[k]) - largest);
    return largest + logf(warp_sum(sum));
}

/// One warp for each row; `truth`, `loss` and `gradient` are null for a softmax alone, `gradient` where no gradient is
/// wanted.
template <typename T> __global__ void __launch_bounds__(block_threads)
    softmax_rows(T* gradient, float* loss, float* probabilities, const T* logits, const float* truth,
                 const float* weight, const StepControl* control, int rows, int classes, float smoothing) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int row = static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / warp_lanes);
    if (row >= rows) return; // a whole warp at a time
    const int64_t first = static_cast<int64_t>(row) * classes;
    const float log_sum = log_sum_exp(logits + first, classes, lane);
    const float clip_weight = loss ? weight[row] : 0.0f;
    const float gradient_scale = gradient ? control->loss_scale / static_cast<float>(rows) * clip_weight : 0.0f;
    const float floor = smoothing / static_cast<float>(classes);
    float cross_entropy = 0;
    for (int k = lane; k < classes; k += warp_lanes) {
        const float log_p = to_float(logits[first + k]) - log_sum;
        const float p = expf(log_p);
        probabilities[first + k] = p;
        if (!loss) continue;
        const float q = (1 - smoothing) * truth[first + k] + floor;
        cross_entropy -= q * log_p;
        if (gradient) gradient[first + k] = from_float<T>(gradient_scale * (p - q));
    }
    if (!loss) return;
    cross_entropy = warp_sum(cross_entropy);
    if (lane == 0) loss[row] = clip_weight * cross_entropy;
}

template <typename T> void launch_softmax(T* gradient, float* loss, float* probabilities, const T* logits,
                                          const float* truth, const float* weight, const StepControl* control,
                                          const Shape& shape, float smoothing, cudaStream_t stream) {
    const dim3 grid(static_cast<unsigned>(divide_up(shape[0], block_threads / warp_lanes)));
    launch(softmax_rows<T>, grid, dim3(block_threads), 0, stream, gradient, loss, probabilities, logits, truth, weight,
           control, static_cast<int>(shape[0]), static_cast<int>(shape[1]), smoothing);
}

} // namespace

void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target, Tensor weight,
                  float smoothing, Tensor control, cudaStream_t stream) {
    check_rank(logits, 2, "logits");
    const Shape shape = logits.shape, per_clip{shape[0]};
    if (dlogits) check_tensor(dlogits, logits.dtype, shape, "dlogits");
    with_activation_type(logits, [&](auto type) {
        using T = decltype(type);
        launch_softmax<T>(static_cast<T*>(dlogits.data), floats(loss, per_clip, "loss"),
                          floats(probabilities, shape, "probabilities"), static_cast<const T*>(logits.data),
                          floats(target, shape, "target"), floats(weight, per_clip, "weight"),
                          dlogits ? &step_control(control) : nullptr, shape, smoothing, stream);
    });
}

void softmax(Tensor probabilities, Tensor logits, cudaStream_t stream) {
    check_rank(logits, 2, "logits");
    with_activation_type(logits, [&](auto type) {
        using T = decltype(type);
        launch_softmax<T>(nullptr, nullptr, floats(probabilities, logits.shape, "probabilities"),
                          static_cast<const T*>(logits.data), nullptr, nullptr, nullptr, logits.shape, 0.0f, stream);
    });
}

} // namespace scene::cuda
