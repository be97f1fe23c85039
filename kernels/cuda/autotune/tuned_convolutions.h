#pragma once

// The convolutions that a device leaves to its library: which fusions of a shape are used, and which engine computes
// what. `tune` decides that, before programs are built. Everything else here answers and runs.

#include <memory>
#include <utility>
#include <vector>

#include "kernels/cuda/convolutions.h"
#include "kernels/planner.h"

namespace scene {
enum class Fusions : uint8_t;
}

namespace scene::cuda {

struct Context;

class TunedConvolutions {
public:
    TunedConvolutions(DType activation, std::unique_ptr<Convolutions> library, Fusions fusions)
        : activation_(activation), library_(std::move(library)), fusions_(fusions) {}

    /// Decides how a shape is computed, once and for good, in all passes: by measurement on the device, or where there
    /// is none (null) by what the library takes for best. A batch that is not full takes what suits the full one.
    /// Throws BrokenDevice, and Error where a plain convolution has no engine to compare fusions with, or with
    /// Fusions::Always where a fusion that the library is made for has none.
    void tune(const Conv2dShape& shape, Context* device);
    bool knows(const Conv2dShape& shape) const { return find(shape) != nullptr; }

    DType activation() const { return activation_; }
    std::string version() const { return library_->version(); }
    /// What was decided so far, and what ran.
    ConvReport report() const;

    // These throw std::logic_error for a shape that was not tuned, and for a fusion that is not offered for it.
    const ConvFusion& fusion(const Conv2dShape& shape) const;
    /// Of the library. Throws Error, with the reasons, where no engine computes the task.
    size_t workspace_bytes(const ConvolutionTask& task) const;
    /// Queued on `stream`.
    void run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* workspace, cudaStream_t stream);

private:
    const ConvFusion* find(const Conv2dShape& shape) const;
    void check_offered(const ConvolutionTask& task) const;
    ConvFusion choose_fusion(const Conv2dShape& shape, Context* device);
    bool can_fuse(const ConvolutionTask& task);
    double seconds(const ConvolutionTask& task);

    DType activation_;
    std::unique_ptr<Convolutions> library_;
    Fusions fusions_;
    std::vector<std::pair<Conv2dShape, ConvFusion>> tuned_;
    std::vector<ConvolutionTask> ran_; ///< each once
};

} // namespace scene::cuda
