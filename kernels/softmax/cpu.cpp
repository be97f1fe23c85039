#include "kernels/softmax/softmax.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/softmax.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const Softmax<Tensor>& op, Context&) {
    check_rank(op.logits, 2, "logits");
    const Shape& shape = op.logits.shape;
    const int64_t batch = shape[0], classes = shape[1];
    const float* in = floats(op.logits, shape, "logits");
    float* p = floats(op.probabilities, shape, "probabilities");
    for (int64_t n = 0; n < batch; ++n) softmax_row(p + n * classes, in + n * classes, classes);
}

} // namespace scene::cpu
