#pragma once

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/operands.h"

namespace scene {

/// Checks BatchNormBackward's y, the same on every device.
inline void check_pooled_output(const BatchNormBackward<Tensor>& op) {
    if (!op.y) return;
    SCENE_CHECK(op.epilogue.max_pool, "batch_norm_backward takes y with pooling only");
    check_tensor(op.y, op.x.dtype, epilogue_shape(op.x.shape, op.epilogue), "y");
}

} // namespace scene
