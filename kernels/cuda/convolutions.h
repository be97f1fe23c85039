#pragma once

// The convolutions that the CUDA device leaves to a library. cudnn/convolutions.h implements them; tests substitute
// their own.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/cuda/autotune/plan_cache.h"
#include "kernels/cuda/gemm.h"
#include "kernels/op_types.h"

namespace scene::cuda {

/// What a pass of a convolution does besides convolving.
struct ConvolutionFusion {
    bool normalize_input = false; ///< forward and weight-grad: reads relu(scale*x + shift) instead of x
    bool statistics = false;      ///< forward: also writes the sums of y and of y*y over all rows
    bool bias_relu = false;       ///< forward, alone: writes relu(y + bias) instead of y
    bool bn_reduce = false;       ///< data-grad: applies the relu's mask and also writes the batch norm's dgamma, dbeta
    bool any() const { return normalize_input || statistics || bias_relu || bn_reduce; }
    bool operator==(const ConvolutionFusion&) const = default;
};

struct ConvolutionTask {
    Conv2dShape shape;
    ConvPass pass = ConvPass::Forward;
    ConvolutionFusion fusion;
    bool operator==(const ConvolutionTask&) const = default;
};

/// The passes of a convolution, in every form that these fusions allow.
std::vector<ConvolutionTask> tasks_of(const Conv2dShape& shape, const ConvFusion& fusion);

/// How a library computes a task.
struct ConvolutionChoice {
    ConvolutionTask task;
    std::string text;     ///< the task and its bounds in one line
    std::string engine;   ///< empty where none runs
    double seconds = 0;   ///< as measured; 0 where it was not
    std::string failures; ///< the engines that did not run and why, in one line
    int left_out = 0;     ///< engines that were not tried, because the time for it was spent
};

/// Device memory of a pass: x and y NHWC, w KRSC. A gradient is where its tensor is: the data gradient writes dx to `x`
/// from dy in `y` and w, the weight gradient writes dw to `w` from dy in `y` and x.
struct ConvolutionOperands {
    void *x = nullptr, *w = nullptr, *y = nullptr; ///< of the activation type
    void *scale = nullptr, *shift = nullptr;       ///< with normalize_input: of the activation type, [C]
    void* bias = nullptr;                          ///< with bias_relu: of the activation type, [K]
    float *sum = nullptr, *square_sum = nullptr;   ///< with statistics: outputs, [K]
    /// With bn_reduce: the convolution's input was relu(z), z = gamma*xhat + beta, xhat = (norm_x - mean)*inv_std.
    /// norm_x has the shape and type of x, everything else is [C]. Outputs: dz in `x` (dx where z > 0, else 0), dgamma
    /// = sum of dz*xhat, dbeta = sum of dz. `unused` is memory for three more outputs of cuDNN's engines.
    void* norm_x = nullptr;
    float *mean = nullptr, *inv_std = nullptr, *gamma = nullptr, *beta = nullptr;
    float *dgamma = nullptr, *dbeta = nullptr;
    std::array<float*, 3> unused{};
};

/// The three passes of a 2-d convolution, summed in float. `choose` comes first: `scratch_bytes` and `run` throw
/// std::logic_error for a task that it was not called with.
class Convolutions {
public:
    virtual ~Convolutions() = default;
    /// "cuDNN 9.19.0"
    virtual std::string version() const = 0;
    /// Whether the library has engines for this kind of task. It has for every task without fusion.
    virtual bool offers(const ConvolutionTask& task) const = 0;
    /// Chooses the engine that computes the task; a second call changes nothing. On a device engines are measured,
    /// except for a partial batch (shape.full_batch > 0), which takes the full batch's engine. If no engine runs, that
    /// is remembered as the choice. Throws BrokenDevice.
    virtual void choose(const ConvolutionTask& task) = 0;
    /// Whether there are engines that are compiled at run time, which `choose` does not consider but `improve` does.
    virtual bool improves() const { return false; }
    /// After `choose`: considers these engines too, as long as there is time.
    virtual void improve(const ConvolutionTask& /*task*/) {}
    /// From now on budget_seconds() are for the next step.
    virtual void begin_step() {}
    /// Seconds for building and measuring engines of one step; 0: no limit.
    virtual double budget_seconds() const { return 0; }
    /// Throws Error, with the reasons, if the library has no engine for the task or none that runs.
    virtual size_t scratch_bytes(const ConvolutionTask& task) const = 0;
    /// As measured. Absent without a device, for a partial batch and where there was no time to measure; otherwise
    /// throws as scratch_bytes does.
    virtual std::optional<double> seconds(const ConvolutionTask& task) const = 0;
    /// All choices so far, in the order in which they were made.
    virtual std::vector<ConvolutionChoice> choices() const = 0;
    /// The cache of measured times.
    virtual PlanCache& times() = 0;
    /// Queued on `stream`. `scratch`: scratch_bytes(task) of device memory, 256-byte aligned.
    virtual void run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch,
                     cudaStream_t stream) = 0;
};

} // namespace scene::cuda
