#pragma once

// Checks of CUDA calls, and kernel launches. No kernel is launched with <<<>>>, so that a plain C++ compiler compiles
// the kernels too (tests/cuda_on_cpu).

#include <cstddef>

#include <cuda_runtime.h>

namespace scene::cuda {

/// Throws Error with one line: the device, CUDA's error, the statement and its place in the source.
[[noreturn]] void fail_cuda(cudaError_t error, const char* statement, const char* file, int line);

} // namespace scene::cuda

/// Evaluates a CUDA call once and throws unless it succeeds.
#define SCENE_CUDA(statement)                                                                                          \
    do {                                                                                                               \
        const cudaError_t scene_cuda_error = (statement);                                                              \
        if (scene_cuda_error != cudaSuccess)                                                                           \
            ::scene::cuda::fail_cuda(scene_cuda_error, #statement, __FILE__, __LINE__);                                \
    } while (0)

namespace scene::cuda {

/// Dynamic shared memory of a block, at most, unless the kernel opts in to more.
constexpr size_t default_shared_bytes = 48 * 1024;

/// Queues kernel(arguments...) on `stream`, with `shared_bytes` of dynamic shared memory per block. Throws Error where
/// CUDA refuses the launch.
template <typename... Parameters, typename... Arguments> void launch(void (*kernel)(Parameters...), dim3 grid,
                                                                     dim3 block, size_t shared_bytes,
                                                                     cudaStream_t stream, Arguments... arguments) {
    if (shared_bytes > default_shared_bytes) {
        SCENE_CUDA(
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)));
    }
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    SCENE_CUDA(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

} // namespace scene::cuda
