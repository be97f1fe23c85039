#pragma once

#include <cuda_runtime.h>

#include "kernels/op_types.h"

namespace scene::cuda {

/// The epilogue of a linear layer: y [M, O] = dropout(activation(y + bias)), in place. y is F32,
/// F16 or BF16; bias, f32 [O], may be absent, and so may `control` without dropout.
void linear_epilogue(const Tensor& y, const Tensor& bias, Activation activation, const Dropout& dropout,
                     const Tensor& control, cudaStream_t stream);

} // namespace scene::cuda
