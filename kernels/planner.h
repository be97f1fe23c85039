#pragma once

// What a program has to know of a device while it is built: no device need be there, and asking changes nothing. Where
// there is a choice of how to convolve, it was made before (Device::autotune).

#include <string>
#include <vector>

#include "kernels/op_table.h"

namespace scene {

/// How a device that has a choice computes one pass of a convolution.
struct ConvChoice {
    std::string pass;     ///< what is computed, of which type and shapes, in one line
    std::string engine;   ///< empty where none runs
    double seconds = 0;   ///< as measured; 0 where it was not
    bool ran = false;     ///< in a step; what is slower than another form is only known
    std::string failures; ///< the engines that did not run and why, in one line
};

struct ConvReport {
    std::vector<ConvChoice> choices; ///< in the order in which they were made
    std::string kept;                ///< where they are remembered from run to run, or why they are not
};

class Planner {
public:
    virtual ~Planner() = default;

    /// Of the tensors that the convolutional part of a network works on.
    virtual DType activation_type() const = 0;
    /// What the convolution can do besides convolving; a layer adds separate ops for the rest. std::logic_error for a
    /// shape that had to be autotuned and was not.
    virtual ConvFusion conv2d_fusion(const Conv2dShape& shape) const = 0;
    virtual PreparedWeights conv2d_prepared_weights(const Conv2dShape& /*shape*/) const { return {}; }
    /// Empty where there is nothing to choose.
    virtual ConvReport conv2d_report() const { return {}; }

    /// "cuDNN 9.19.0"; empty where none is asked.
    virtual std::string libraries() const { return {}; }

    /// What the op's record gets as its scratch; 0: none.
    template <template <class> class Op> size_t scratch_bytes(const Op<TensorSpec>& op) const {
        return std::get<table::ScratchEntry<Op>>(scratch_).bytes(*this, op);
    }

protected:
    explicit Planner(const ScratchTable& scratch) : scratch_(scratch) {}

private:
    const ScratchTable& scratch_;
};

} // namespace scene
