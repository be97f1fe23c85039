#pragma once

// Convolutions as cuDNN's graph API knows them: one operation, the engine configurations that the heuristics propose
// for it, and the execution plans that can be built from those, on a device or from a device's properties alone.

#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/cudnn_descriptor.h"

namespace scene::cuda {

/// What the plans are built for.
class PlanTarget {
public:
    /// The current device.
    PlanTarget();
    /// A device that need not be there: its properties as JSON, in the form that cuDNN takes.
    explicit PlanTarget(const std::string& device_properties);
    PlanTarget(PlanTarget&&) = delete;
    ~PlanTarget();

    /// Null without a device.
    cudnnHandle_t handle() const { return handle_; }
    const Descriptor* properties() const { return properties_.get(); }

private:
    cudnnHandle_t handle_ = nullptr;
    std::unique_ptr<Descriptor> properties_;
};

/// One convolution pass and what is allowed in computing it.
struct ConvolutionProblem {
    Conv2dShape shape;
    ConvPass pass = ConvPass::Forward;
    DType type = DType::F32;   ///< of all three tensors, F32 or F16; sums are float
    bool tensor_cores = true;  ///< F32: whether products may be rounded to TF32
    bool deterministic = true; ///< only engines that give the same bits every time
    size_t most_workspace = 0; ///< bytes

    /// "forward F16 [16, 250, 32, 144] [144, 3, 3, 144] stride 1 padding 1 deterministic": one line, the key of a
    /// cache.
    std::string text() const;
};

/// The tensors of a pass by their role in it.
enum class ConvTensor : int64_t { X = 1, W = 2, Y = 3 }; // and their gradients

/// The operation graph of one convolution, with everything that it refers to.
class ConvolutionGraph {
public:
    ConvolutionGraph(const ConvolutionProblem& problem, const PlanTarget& target);
    const Descriptor& get() const { return graph_; }

private:
    Descriptor x_, w_, y_, convolution_, operation_, graph_;
};

/// A plan that can run.
struct ConvolutionPlan {
    std::shared_ptr<const ConvolutionGraph> graph;
    Descriptor config, plan;
    std::string engine;   ///< "engine 57 knobs 2=1 3=0": names the configuration among the candidates of its problem
    size_t workspace = 0; ///< bytes
};

/// The plans that suit the problem, in the heuristics' order, best first, `most` at most; those whose engine cannot be
/// built for the target are left out. Throws Error when none is left.
std::vector<ConvolutionPlan> convolution_plans(const ConvolutionProblem& problem, const PlanTarget& target,
                                               size_t most);

/// Runs the plan on the target's stream. x, w, y or their gradients, by role; `workspace` of at least plan.workspace
/// bytes.
void execute(const ConvolutionPlan& plan, const PlanTarget& target, void* x, void* w, void* y, void* workspace);

} // namespace scene::cuda
