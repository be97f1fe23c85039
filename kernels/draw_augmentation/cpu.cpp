#include "kernels/draw_augmentation/draw_augmentation.h"

#include "kernels/cpu/context.h"
#include "kernels/draw_augmentation/clip_draws.h"

namespace scene::cpu {

void run(const DrawAugmentation<Tensor>& op, Context&) {
    check_rank(op.draws, 2, "draws");
    const int64_t batch = op.draws.shape[0];
    ClipDraw* draws = clip_draws(op.draws, batch);
    const StepControl& control = step_control(op.control);
    for (int64_t n = 0; n < batch; ++n)
        draws[n] = draw_clip(op.sampler, control.seed, control.step, n, batch, op.frames, op.bands);
}

} // namespace scene::cpu
