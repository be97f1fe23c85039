#include "kernels/cuda/graph_map.h"

#include <cuda.h>

#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

std::vector<cudaGraphNode_t> dependencies_of(cudaGraphNode_t node) {
    size_t count = 0;
    SCENE_CUDA(cudaGraphNodeGetDependencies(node, nullptr, nullptr, &count));
    std::vector<cudaGraphNode_t> nodes(count);
    std::vector<cudaGraphEdgeData> edges(count); // CUDA fails without it where a library's kernels overlap
    if (count > 0) SCENE_CUDA(cudaGraphNodeGetDependencies(node, nodes.data(), edges.data(), &count));
    return nodes;
}

/// A function of the driver, which is not linked; null if the driver has none of that name.
template <typename Function> Function* driver_function(const char* name) {
    constexpr unsigned version = 12030; // the first CUDA in which functions tell their names
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &function, version, cudaEnableDefault, &found);
    return error == cudaSuccess && found == cudaDriverEntryPointSuccess ? reinterpret_cast<Function*>(function)
                                                                        : nullptr;
}

/// The runtime knows this program's kernels only; the driver also knows those of libraries.
void describe_kernel(cudaGraphNode_t node, GraphNode& out) {
    static const auto parameters_of =
        driver_function<CUresult(CUgraphNode, CUDA_KERNEL_NODE_PARAMS*)>("cuGraphKernelNodeGetParams");
    static const auto function_name = driver_function<CUresult(const char**, CUfunction)>("cuFuncGetName");
    static const auto kernel_name = driver_function<CUresult(const char**, CUkernel)>("cuKernelGetName");
    CUDA_KERNEL_NODE_PARAMS parameters{};
    if (!parameters_of || parameters_of(node, &parameters) != CUDA_SUCCESS) return;
    out.grid = {parameters.gridDimX, parameters.gridDimY, parameters.gridDimZ};
    out.block = {parameters.blockDimX, parameters.blockDimY, parameters.blockDimZ};
    out.shared_bytes = parameters.sharedMemBytes;
    const char* name = nullptr;
    if (parameters.func && function_name && function_name(&name, parameters.func) == CUDA_SUCCESS && name) {
        out.kernel = name;
    } else if (parameters.kern && kernel_name && kernel_name(&name, parameters.kern) == CUDA_SUCCESS && name) {
        out.kernel = name;
    }
}

std::string kind_of(cudaGraphNode_t node) {
    cudaGraphNodeType type{};
    SCENE_CUDA(cudaGraphNodeGetType(node, &type));
    switch (type) {
    case cudaGraphNodeTypeKernel: return "kernel";
    case cudaGraphNodeTypeMemset: return "memset";
    case cudaGraphNodeTypeMemcpy: return "memcpy";
    default: return "other";
    }
}

} // namespace

void GraphMap::begin_range(const std::string& name) {
    add_new_nodes();
    range_ = name;
}

void GraphMap::add_new_nodes() {
    cudaStreamCaptureStatus status{};
    const cudaGraphNode_t* last = nullptr;
    const cudaGraphEdgeData* edges = nullptr; // not used, but CUDA may fail without it
    size_t count = 0;
    SCENE_CUDA(cudaStreamGetCaptureInfo(stream_, &status, nullptr, nullptr, &last, &edges, &count));
    const std::vector<cudaGraphNode_t> ends(last, last + count); // the pointer is valid until the next call only
    for (cudaGraphNode_t node : ends) add(node);
}

/// Adds what the node depends on first. A range has few nodes, so the recursion is shallow.
void GraphMap::add(cudaGraphNode_t node) {
    if (!known_.insert(node).second) return;
    for (cudaGraphNode_t before : dependencies_of(node)) add(before);
    GraphNode found{.range = range_, .kind = kind_of(node), .kernel = {}};
    if (found.kind == "kernel") describe_kernel(node, found);
    nodes_.push_back(std::move(found));
}

} // namespace scene::cuda
