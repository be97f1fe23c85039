#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/mix_targets/target_operands.h"

namespace scene::cuda {
namespace {

/// One thread for each clip.
__global__ void __launch_bounds__(block_threads) mix(TargetOperands batch) {
    const int64_t n = thread_in_grid(), classes = batch.classes;
    if (n >= batch.clips) return;
    const int64_t partner = batch.draws[n].mix_partner;
    const float share = batch.draws[n].mix_share;
    const float own = share * batch.weight[n], sum = own + (1 - share) * batch.weight[partner];
    const float own_share = sum > 0 ? own / sum : share;
    batch.mixed_weight[n] = sum;
    for (int64_t k = 0; k < classes; ++k)
        batch.mixed_target[n * classes + k] =
            own_share * batch.target[n * classes + k] + (1 - own_share) * batch.target[partner * classes + k];
}

} // namespace

void run(const MixTargets<Tensor>& op, Context& cuda) {
    const TargetOperands batch(op);
    launch(mix, blocks_over(batch.clips), dim3(block_threads), 0, cuda.stream, batch);
}

} // namespace scene::cuda
