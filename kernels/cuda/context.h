#pragma once

// What the CUDA ops may use besides their operands.

#include <cuda_runtime.h>

#include "kernels/op.h"

namespace scene::cuda {

class Gemm;
class LogMelTables;
class TunedConvolutions;

/// For `scratch_bytes`.
struct Planning {
    size_t gemm_workspace_bytes = 0; ///< of any matrix product
    const TunedConvolutions* convolutions = nullptr;
};

/// For `run`.
struct Context {
    cudaStream_t stream = nullptr;
    TunedConvolutions* convolutions = nullptr;
    Gemm* gemm = nullptr;
    LogMelTables* log_mel_tables = nullptr;
};

} // namespace scene::cuda
