#pragma once

// Convolutions by oneDNN: primitives built once per shape, pass and epilogue, and executed on the caller's buffers.
//
// A primitive convolves one chunk of the batch on one thread, and the threads share the chunks. The chunks depend on
// the batch size alone, so the bits of a result do not depend on the number of threads. (oneDNN's own split of a weight
// gradient does depend on it.)

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/op_types.h"

namespace scene::cpu {

/// Everything is f32 and dense. x, y and their gradients are NHWC, weights and their gradient KRSC. `scratch` has
/// scratch_bytes(shape, pass).
class ConvolutionPlans {
public:
    explicit ConvolutionPlans(int threads);
    ~ConvolutionPlans();
    ConvolutionPlans(const ConvolutionPlans&) = delete;
    ConvolutionPlans& operator=(const ConvolutionPlans&) = delete;

    /// Of a pass with any epilogue. Builds the primitives, so that the ops do not.
    size_t scratch_bytes(const Conv2dShape& shape, ConvPass pass);
    /// y = conv(x, w) + bias, then relu where asked; bias may be null.
    void forward(float* y, const float* x, const float* w, const float* bias, bool relu, void* scratch,
                 const Conv2dShape& shape);
    void data_grad(float* dx, const float* dy, const float* w, void* scratch, const Conv2dShape& shape);
    void weight_grad(float* dw, const float* dy, const float* x, void* scratch, const Conv2dShape& shape);

private:
    struct Plan;
    struct Key {
        Conv2dShape shape;
        ConvPass pass = ConvPass::Forward;
        bool bias = false;
        bool operator==(const Key&) const = default;
    };
    struct Library;

    Plan& plan(const Key& key);

    int threads_;
    std::unique_ptr<Library> library_;
    std::vector<std::unique_ptr<Plan>> plans_;
};

} // namespace scene::cpu
