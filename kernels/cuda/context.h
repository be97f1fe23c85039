#pragma once

// What the CUDA ops may use beside their operands.

#include <cuda_runtime.h>

#include "kernels/op.h"

namespace scene::cuda {

class TunedConvolutions;

/// For `scratch_bytes`.
struct Planning {
    size_t gemm_workspace_bytes; ///< of any matrix product
    const TunedConvolutions& convolutions;
};

/// For `run`.
struct Context {
    cudaStream_t stream;
    TunedConvolutions& convolutions;
};

} // namespace scene::cuda
