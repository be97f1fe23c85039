#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/fill_zero/fill_zero.h"

namespace scene::cuda {

void run(const FillZero<Tensor>& op, Context& cuda) {
    SCENE_CHECK(op.x, "fill_zero of an absent tensor");
    if (op.x.bytes() > 0) SCENE_CUDA(cudaMemsetAsync(op.x.data, 0, op.x.bytes(), cuda.stream));
}

} // namespace scene::cuda
