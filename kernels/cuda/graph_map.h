#pragma once

// Which op each node of a CUDA graph belongs to, so that a profile of the graph can be read by the names of ops.

#include <string>
#include <unordered_set>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/cuda/gpu.h"

namespace scene::cuda {

/// Watches a stream while it is captured. The capture knows the nodes that its next node would depend on. So the nodes
/// before them that were not there when a range began are the range's, whatever streams a library forks inside an op.
class GraphMap {
public:
    explicit GraphMap(cudaStream_t stream) : stream_(stream) {}

    /// From here on nodes belong to `name`. Nested ranges are not distinguished: the last one that began counts.
    void begin_range(const std::string& name);
    /// Call it before the capture ends.
    void end() { add_new_nodes(); }
    /// In the order of the ranges; of one range, in an order in which they can run.
    const std::vector<GraphNode>& nodes() const { return nodes_; }

private:
    void add_new_nodes();
    void add(cudaGraphNode_t node);

    cudaStream_t stream_;
    std::string range_;
    std::unordered_set<cudaGraphNode_t> known_;
    std::vector<GraphNode> nodes_;
};

} // namespace scene::cuda
