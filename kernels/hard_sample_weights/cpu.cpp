#include "kernels/hard_sample_weights/hard_sample_weights.h"

#include "kernels/cpu/context.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const HardSampleWeights<Tensor>& op, Context&) {
    check_rank(op.probabilities, 2, "probabilities");
    const int64_t rows = op.probabilities.shape[0], classes = op.probabilities.shape[1];
    float* out = floats(op.weight, {rows}, "weight");
    const float* p = floats(op.probabilities, op.probabilities.shape, "probabilities");
    const int32_t* is_member = indices(op.member, {rows}, "member");
    double sum = 0;
    int64_t members = 0;
    for (int64_t r = 0; r < rows; ++r) {
        out[r] = 1;
        if (is_member[r] == 0) continue;
        out[r] = static_cast<float>(1.0 / (confidence_of(p + r * classes, classes, op.measure) + 1e-8));
        sum += static_cast<double>(out[r]);
        ++members;
    }
    const double scale = static_cast<double>(members) / sum;
    for (int64_t r = 0; r < rows; ++r) {
        if (is_member[r] != 0) out[r] = static_cast<float>(static_cast<double>(out[r]) * scale);
    }
}

} // namespace scene::cpu
