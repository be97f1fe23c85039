#pragma once

// Stands in for CUDA's <cuda.h>, the driver's interface: what tells a kernel node's launch and its kernel's name.

#include <string_view>

#include <cuda_runtime.h>

enum CUresult { CUDA_SUCCESS = 0, CUDA_ERROR_INVALID_VALUE = 1 };
using CUgraphNode = CUgraphNode_st*;
using CUfunction = CUgraphNode_st*; ///< the emulator knows no names of kernels
using CUkernel = void*;
struct CUDA_KERNEL_NODE_PARAMS {
    CUfunction func;
    unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
    CUkernel kern;
};

inline CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* out) {
    if (node->type != cudaGraphNodeTypeKernel) return CUDA_ERROR_INVALID_VALUE;
    *out = {node,          node->grid.x,  node->grid.y,  node->grid.z,
            node->block.x, node->block.y, node->block.z, static_cast<unsigned>(node->shared_bytes),
            nullptr};
    return CUDA_SUCCESS;
}
inline CUresult cuFuncGetName(const char** name, CUfunction) {
    *name = "a_kernel";
    return CUDA_SUCCESS;
}

/// A driver that lacks cuKernelGetName.
inline cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                                    cudaDriverEntryPointQueryResult* found) {
    const std::string_view wanted = name;
    *function = nullptr;
    if (wanted == "cuGraphKernelNodeGetParams") *function = reinterpret_cast<void*>(&cuGraphKernelNodeGetParams);
    if (wanted == "cuFuncGetName") *function = reinterpret_cast<void*>(&cuFuncGetName);
    *found = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}
