#pragma once

// The convolutions that the CUDA device leaves to a library. cudnn/convolutions.h implements them; tests put their own
// in their place.

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
    bool normalize_input = false; ///< forward and weight-grad: relu(scale*x + shift) is in the place of x
    bool statistics = false;      ///< forward: the sums of y and of y*y over all rows come with it
    bool bn_reduce = false;       ///< data-grad: masked by the relu of a batch norm before it, whose sums come with it
    bool any() const { return normalize_input || statistics || bn_reduce; }
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

/// What a library computes a task with.
struct ConvolutionChoice {
    ConvolutionTask task;
    std::string text;     ///< the task and its bounds in one line
    std::string engine;   ///< empty where none runs
    double seconds = 0;   ///< as measured; 0 where it was not
    std::string failures; ///< the engines that did not run and why, in one line
};

/// Device memory of a pass, channels last: y = conv(x, w), or dx from dy and w, or dw from dy and x; the output is x, w
/// or y by the pass.
struct ConvolutionOperands {
    void *x = nullptr, *w = nullptr, *y = nullptr; ///< of the activation type
    void *scale = nullptr, *shift = nullptr;       ///< with normalize_input: of the activation type, [C]
    float *sum = nullptr, *square_sum = nullptr;   ///< with statistics: outputs, [K]
    /// With bn_reduce: x of the convolution was relu(z), z = gamma*(norm_x - mean)*inv_std + beta, all [C] but
    /// norm_x, which has the convolution's x's place and type. dx where z > 0 is written to x, and dgamma and dbeta.
    /// `unused` is memory for three more outputs.
    void* norm_x = nullptr;
    float *mean = nullptr, *inv_std = nullptr, *gamma = nullptr, *beta = nullptr;
    float *dgamma = nullptr, *dbeta = nullptr;
    std::array<float*, 3> unused{};
};

/// The three passes of a 2-d convolution. Products are summed in float. `choose` comes first: everything else throws
/// std::logic_error for a task that was not chosen for, and changes nothing.
class Convolutions {
public:
    virtual ~Convolutions() = default;
    /// "cuDNN 9.19.0"
    virtual std::string version() const = 0;
    /// Whether the library is made for such a task; without fusion it is for every one.
    virtual bool offers(const ConvolutionTask& task) const = 0;
    /// Chooses the engine that computes the task, once and for good. On a device it is measured; not for a batch that
    /// is not full, which takes the full one's engine. Throws BrokenDevice. That no engine runs is a choice too.
    virtual void choose(const ConvolutionTask& task) = 0;
    /// Throws Error, with the reasons, where the library has no engine for the task or none that runs.
    virtual size_t scratch_bytes(const ConvolutionTask& task) const = 0;
    /// Absent where it was not measured, as without a device. Throws as scratch_bytes does.
    virtual std::optional<double> seconds(const ConvolutionTask& task) const = 0;
    /// All that was decided so far, in the order of the decisions.
    virtual std::vector<ConvolutionChoice> choices() const = 0;
    /// Where measured times are kept.
    virtual PlanCache& times() = 0;
    /// Queued on `stream`. `scratch`: scratch_bytes(task) of device memory, 256-byte aligned.
    virtual void run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch,
                     cudaStream_t stream) = 0;
};

} // namespace scene::cuda
