#pragma once

#include <cuda_runtime.h>

#include "kernels/op_types.h"

namespace scene::cuda {

/// y [M, O] = dropout(activation(y + bias)), in place; y F32 or F16, bias f32 [O] or absent.
void linear_epilogue(Tensor y, Tensor bias, Activation activation, Dropout dropout, Tensor control,
                     cudaStream_t stream);

} // namespace scene::cuda
