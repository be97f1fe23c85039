#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/draw_augmentation/clip_draws.h"
#include "kernels/draw_augmentation/draw_augmentation.h"

namespace scene::cuda {
namespace {

/// One thread for each clip.
__global__ void __launch_bounds__(block_threads)
    draw(ClipDraw* draws, const StepControl* control, AugmentationSampler sampler, int64_t batch, int64_t frames,
         int64_t bands) {
    const int64_t n = thread_in_grid();
    if (n >= batch) return;
    // A copy, since what a call returns into memory is not reported to the emulator's checks.
    const ClipDraw drawn = draw_clip(sampler, control->seed, control->step, n, batch, frames, bands);
    draws[n] = drawn;
}

} // namespace

void run(const DrawAugmentation<Tensor>& op, Context& cuda) {
    check_rank(op.draws, 2, "draws");
    const int64_t batch = op.draws.shape[0];
    launch(draw, blocks_over(batch), dim3(block_threads), 0, cuda.stream, clip_draws(op.draws, batch),
           &step_control(op.control), op.sampler, batch, op.frames, op.bands);
}

} // namespace scene::cuda
