#pragma once

// What a program has to know of a device while it is built. A planner needs no device, and queries do not change it.
// Where there is a choice of convolution algorithms, Device::autotune has made it before.

#include <string>
#include <vector>

#include "kernels/op_table.h"

namespace scene {

/// The algorithm chosen for one pass of a convolution.
struct ConvChoice {
    std::string pass;     ///< what is computed, its type and shapes, in one line
    std::string engine;   ///< of the library; empty if none works
    double seconds = 0;   ///< measured; 0 if it was not
    bool ran = false;     ///< in a program; a candidate that is slower than another form is tuned but never runs
    std::string failures; ///< the engines that failed and why, in one line
    int left_out = 0;     ///< engines that were not tried, because the budget was spent
};

struct ConvReport {
    std::vector<ConvChoice> choices; ///< in the order in which they were made
    std::string kept;                ///< where the choices are cached from run to run, or why they are not
    double budget_seconds = 0;       ///< for choosing, for each step; 0: no limit
    double spent_seconds = 0;        ///< on choosing, for all steps so far
};

class Planner {
public:
    virtual ~Planner() = default;

    /// The element type of activations in the convolutional part of a network: F32, F16 or BF16.
    virtual DType activation_type() const = 0;
    /// The fusions that the device offers for the shape. Throws std::logic_error for a shape that needs autotuning and
    /// had none.
    virtual ConvFusion conv2d_fusion(const Conv2dShape& shape) const = 0;
    /// What conv2d_prepare_weights makes for the shape; by default nothing.
    virtual PreparedWeights conv2d_prepared_weights(const Conv2dShape& /*shape*/) const { return {}; }
    /// Whether batch_norm_backward is quicker with the forward pass's pooled output y (kernels/batch_norm).
    virtual bool norm_backward_reads_output() const { return false; }
    /// The convolution algorithms chosen so far; empty if the device has no choice.
    virtual ConvReport conv2d_report() const { return {}; }

    /// The library that convolutions are planned with, such as "cuDNN 9.19.0"; empty if there is none.
    virtual std::string libraries() const { return {}; }

    /// Bytes of the op's scratch; 0: none.
    template <template <class> class Op> size_t scratch_bytes(const Op<TensorSpec>& op) const {
        return std::get<table::ScratchEntry<Op>>(scratch_).bytes(*this, op);
    }

protected:
    explicit Planner(const ScratchTable& scratch) : scratch_(scratch) {}

private:
    const ScratchTable& scratch_;
};

} // namespace scene
