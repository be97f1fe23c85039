#pragma once

// What the CUDA ops may use besides their operands.

#include <cuda_runtime.h>

#include "kernels/cuda/device_limits.h"
#include "kernels/op.h"

namespace scene::cuda {

class Gemm;
class LogMelTables;
class TunedConvolutions;

/// For `scratch_bytes`.
struct Planning {
    size_t gemm_workspace_bytes = 0; ///< of any matrix product
    const TunedConvolutions* convolutions = nullptr;
    DeviceLimits limits{};
};

/// For `run`.
struct Context {
    cudaStream_t stream = nullptr;
    TunedConvolutions* convolutions = nullptr;
    Gemm* gemm = nullptr;
    LogMelTables* log_mel_tables = nullptr;
    DeviceLimits limits{};
};

} // namespace scene::cuda
