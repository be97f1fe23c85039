#pragma once

// The convolutions that a device leaves to its library: which fusions are used for a shape, and which engine computes
// each pass. `tune` decides that, before programs are built. Everything else tells and runs what was decided.

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/device_limits.h"
#include "kernels/planner.h"

namespace scene {
enum class Fusions : uint8_t;
}

namespace scene::cuda {

struct Context;

class TunedConvolutions {
public:
    TunedConvolutions(DType activation, std::unique_ptr<Convolutions> library, Fusions fusions,
                      const DeviceLimits& limits = {})
        : activation_(activation), library_(std::move(library)), fusions_(fusions), limits_(limits) {}

    /// Decides how all passes of a shape are computed; a second call changes nothing. With a device it measures;
    /// without one (null) it takes what the library's heuristics rank first. A partial batch (full_batch > 0) takes the
    /// fusions and engines of the full batch. Throws BrokenDevice. Throws Error if a plain convolution has no engine to
    /// compare a fusion with, and with Fusions::Always if a fusion that the library offers has no engine.
    void tune(const Conv2dShape& shape, Context* device);
    /// All shapes of a step, those with the most arithmetic first, so that what little time there may be goes where it
    /// counts: first what is precompiled, for all of them, then what is compiled at run time.
    void tune_step(const std::vector<Conv2dShape>& shapes, Context* device);
    bool knows(const Conv2dShape& shape) const { return find(shape) != nullptr; }

    DType activation() const { return activation_; }
    const DeviceLimits& limits() const { return limits_; }
    std::string version() const { return library_->version(); }
    /// All choices so far, and which of them ran.
    ConvReport report() const;

    // These throw std::logic_error for a shape that was not tuned, and for a fusion that fusion(shape) does not offer.
    const ConvFusion& fusion(const Conv2dShape& shape) const;
    /// The library's workspace. Throws Error, with the reasons, if no engine computes the task.
    size_t workspace_bytes(const ConvolutionTask& task) const;
    /// Queued on `stream`.
    void run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* workspace, cudaStream_t stream);

private:
    const ConvFusion* find(const Conv2dShape& shape) const;
    void check_offered(const ConvolutionTask& task) const;
    ConvFusion choose_fusion(const Conv2dShape& shape, Context* device);
    bool can_fuse(const ConvolutionTask& task);
    /// Absent if there was no time to measure.
    std::optional<double> seconds(const ConvolutionTask& task);
    std::vector<ConvolutionTask> considered(const Conv2dShape& shape) const;

    DType activation_;
    std::unique_ptr<Convolutions> library_;
    Fusions fusions_;
    DeviceLimits limits_;
    std::vector<std::pair<Conv2dShape, ConvFusion>> tuned_;
    std::vector<ConvolutionTask> ran_; ///< each once
    double spent_seconds_ = 0;         ///< on tune_step
};

} // namespace scene::cuda
