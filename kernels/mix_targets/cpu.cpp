#include "kernels/mix_targets/mix_targets.h"

#include "kernels/cpu/context.h"
#include "kernels/mix_targets/target_operands.h"

namespace scene::cpu {

void run(const MixTargets<Tensor>& op, Context&) {
    const TargetOperands batch(op);
    const float *targets = batch.target, *weights = batch.weight;
    const int64_t classes = batch.classes;
    for (int64_t n = 0; n < batch.clips; ++n) {
        const int64_t partner = batch.draws[n].mix_partner;
        const float share = batch.draws[n].mix_share;
        const float own = share * weights[n], other = (1 - share) * weights[partner], sum = own + other;
        const float own_share = sum > 0 ? own / sum : share;
        batch.mixed_weight[n] = sum;
        for (int64_t k = 0; k < classes; ++k)
            batch.mixed_target[n * classes + k] =
                own_share * targets[n * classes + k] + (1 - own_share) * targets[partner * classes + k];
    }
}

} // namespace scene::cpu
