#include "kernels/draw_augmentation/draw_augmentation.h"

#include "kernels/draw_augmentation/clip_draws.h"

namespace scene::reference {

void run(const DrawAugmentation<Tensor>& op) {
    const int64_t batch = op.draws.shape[0];
    const StepControl& control = step_control(op.control);
    for (int64_t n = 0; n < batch; ++n)
        clip_draws(op.draws, batch)[n] =
            draw_clip(op.sampler, control.seed, control.step, n, batch, op.frames, op.bands);
}

} // namespace scene::reference
