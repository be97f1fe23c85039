#pragma once

// Convolutions as operation graphs of cuDNN: one pass and what is fused with it.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/cudnn/descriptor.h"

namespace scene::cuda {

/// The device that graphs and plans are made for.
class PlanTarget {
public:
    /// The current device.
    PlanTarget();
    /// A device that need not be present: its properties as JSON, in the form that cuDNN takes.
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

/// A task and what is allowed in computing it.
struct ConvolutionProblem {
    ConvolutionTask task;
    DType type = DType::F32;        ///< of all tensors but the sums, F32, F16 or BF16; sums are float
    bool tensor_cores = true;       ///< F32: whether products may be rounded to TF32
    bool deterministic = true;      ///< only engines that give the same bits every time
    size_t most_workspace = 0;      ///< bytes
    bool run_time_compiled = false; ///< also engines that cuDNN compiles for the problem: seconds each

    /// "forward F16 [16, 250, 32, 144] [144, 3, 3, 144] stride 1 padding 1 deterministic within 41943040": one line,
    /// the key in PlanCache.
    std::string text() const;
};

/// Ids of a graph's tensors that have memory. A gradient has the id of its tensor: dx is X, dz is X.
enum class ConvTensor : int64_t {
    X = 1,
    W,
    Y,
    Scale,
    Shift,
    Bias,
    Sum,
    SquareSum,
    NormX,
    Mean,
    InvStd,
    Gamma,
    Beta,
    DGamma,
    DBeta,
    UnusedA,
    UnusedB,
    UnusedC
};

/// The operation graph of one problem. It owns the descriptors that it refers to.
class ConvolutionGraph {
public:
    ConvolutionGraph(const ConvolutionProblem& problem, const PlanTarget& target);
    const Descriptor& get() const { return graph_; }

private:
    /// Keeps the descriptor alive as long as the graph.
    const Descriptor& keep(Descriptor descriptor);
    /// The virtual tensor relu(scale*x + shift).
    const Descriptor& normalized(const Descriptor& x, const ConvolutionProblem& problem);
    /// y = relu(sum + bias).
    void add_bias_relu(const Descriptor& sum, const Descriptor& y, const ConvolutionProblem& problem);
    /// The sums of y and of y*y over all rows.
    void add_sums(const Descriptor& y, const ConvolutionProblem& problem);
    /// From the convolution's gradient, a virtual tensor, to dz, dgamma and dbeta.
    void add_bn_reduce(const Descriptor& dz, const Descriptor& gradient, const ConvolutionProblem& problem);
    /// The virtual tensor function(a, b), of shape `map`. b is one value per channel, or null.
    template <typename Role> const Descriptor& computed(cudnnPointwiseMode_t function, const Descriptor& a,
                                                        const Descriptor* b, const Shape& map, Role role);

    std::deque<Descriptor> parts_; // a deque, so that references stay valid
    std::vector<Descriptor> operations_;
    Descriptor graph_;
};

} // namespace scene::cuda
