#include "kernels/cuda/common/linear_epilogue.h"
#include "kernels/linear/linear.h"
#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// In every type, though programs have linear layers in F32 only.
TEST(CudaLinearEpilogue, IsTheEndOfTheForwardPass) {
    const Guarded control = control_with({.seed = 21, .step = 2});
    for (const Shape& shape : {Shape{7, 10}, Shape{33, 64}, Shape{1, 1}}) {
        // With the identity for weights the product is x itself.
        const Guarded identity = filled({shape[1], shape[1]}, std::vector<float>(shape[1] * shape[1], 0.0f));
        for (int64_t i = 0; i < shape[1]; ++i) identity[i * shape[1] + i] = 1;
        const Guarded bias = uniform({shape[1]}, 2);
        for (const Activation activation : {Activation::None, Activation::Relu, Activation::Sigmoid}) {
            for (const Dropout& dropout : {Dropout{}, Dropout{.p = 0.4f, .stream = 6}}) {
                for_each_setting([&](DType dtype) {
                    const Guarded x = stored_as(dtype, uniform(shape, 1, -3, 3)), y(shape);
                    const OnDevice d_bias(bias), d_control(control);
                    for (const bool with_bias : {true, false}) {
                        reference::run(LinearForward<Tensor>{.y = Tensor(y),
                                                             .x = Tensor(x),
                                                             .w = Tensor(identity),
                                                             .bias = with_bias ? Tensor(bias) : Tensor(),
                                                             .control = Tensor(control),
                                                             .activation = activation,
                                                             .dropout = dropout});
                        const OnDevice d_y(x, dtype);
                        cuda::linear_epilogue(d_y, with_bias ? Tensor(d_bias) : Tensor(), activation, dropout,
                                              d_control, nullptr);
                        EXPECT_TRUE(close(d_y, y, rounding(dtype), shape.text()));
                    }
                });
            }
        }
    }
}

} // namespace
} // namespace scene::test
