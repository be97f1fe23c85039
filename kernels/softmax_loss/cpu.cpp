#include "kernels/softmax_loss/softmax_loss.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/softmax.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const SoftmaxLoss<Tensor>& op, Context&) {
    check_rank(op.logits, 2, "logits");
    const Shape& shape = op.logits.shape;
    const int64_t batch = shape[0], classes = shape[1];
    const float* in = floats(op.logits, shape, "logits");
    const float* truth = floats(op.target, shape, "target");
    const float* clip_weight = floats(op.weight, {batch}, "weight");
    float* p = floats(op.probabilities, shape, "probabilities");
    float* loss = floats(op.loss, {batch}, "loss");
    float* gradient = optional_floats(op.dlogits, shape, "dlogits");
    const float gradient_scale = gradient ? step_control(op.control).loss_scale / static_cast<float>(batch) : 0.0f;
    const float floor = op.smoothing / static_cast<float>(classes);
    for (int64_t n = 0; n < batch; ++n) {
        const int64_t row = n * classes;
        const double log_sum = softmax_row(p + row, in + row, classes);
        double cross_entropy = 0;
        for (int64_t k = row; k < row + classes; ++k) {
            const float q = (1 - op.smoothing) * truth[k] + floor;
            cross_entropy -= static_cast<double>(q) * (static_cast<double>(in[k]) - log_sum);
            if (gradient) gradient[k] = gradient_scale * clip_weight[n] * (p[k] - q);
        }
        loss[n] = static_cast<float>(static_cast<double>(clip_weight[n]) * cross_entropy);
    }
}

} // namespace scene::cpu
