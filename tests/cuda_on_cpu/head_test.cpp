// Linear layers' elementwise parts.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

const std::vector<Activation> activations = {Activation::None, Activation::Relu, Activation::Sigmoid};
const std::vector<Dropout> dropouts = {{}, {.p = 0.4f, .stream = 6}};
const StepControl control{.seed = 21, .step = 2};

TEST(CudaLinear, EpilogueIsTheEndOfTheForwardPass) {
    for (const Shape& shape : {Shape{7, 10}, Shape{33, 64}, Shape{1, 1}}) {
        // With the identity for weights the product is x itself.
        Guarded identity = filled({shape[1], shape[1]}, std::vector<float>(shape[1] * shape[1], 0.0f));
        for (int64_t i = 0; i < shape[1]; ++i) identity[i * shape[1] + i] = 1;
        const Guarded bias = uniform({shape[1]}, 2);
        for (const Activation activation : activations) {
            for (const Dropout& dropout : dropouts) {
                for_each_setting([&](DType dtype) {
                    const Guarded x = stored_as(dtype, uniform(shape, 1, -3, 3)), y(shape),
                                  state = control_with(control);
                    const OnDevice d_bias(bias), d_state(state);
                    for (const bool with_bias : {true, false}) {
                        cpu().linear_forward(y, x, identity, with_bias ? Tensor(bias) : Tensor(), activation, dropout,
                                             state);
                        const OnDevice d_y(x, dtype);
                        cuda::linear_epilogue(d_y, with_bias ? Tensor(d_bias) : Tensor(), activation, dropout, d_state,
                                              nullptr);
                        EXPECT_TRUE(close(d_y, y, rounding(dtype), shape.text()));
                    }
                });
            }
        }
    }
}

TEST(CudaLinear, ActivationBackward) {
    for (const Shape& shape : {Shape{7, 10}, Shape{33, 64}, Shape{1, 1}}) {
        for (const Activation activation : activations) {
            for (const Dropout& dropout : dropouts) {
                for_each_setting([&](DType dtype) {
                    const Guarded y = stored_as(dtype, uniform(shape, 3, -1, 1)),
                                  dy = stored_as(dtype, uniform(shape, 4));
                    const Guarded dpre(shape), state = control_with(control);
                    cpu().linear_activation_backward(dpre, dy, y, activation, dropout, state);
                    const OnDevice d_y(y, dtype), d_dy(dy, dtype), d_dpre(shape, dtype), d_state(state);
                    cuda::linear_activation_backward(d_dpre, d_dy, d_y, activation, dropout, d_state, nullptr);
                    EXPECT_TRUE(close(d_dpre, dpre, rounding(dtype), shape.text()));
                    cuda::linear_activation_backward(d_dy, d_dy, d_y, activation, dropout, d_state, nullptr);
                    EXPECT_TRUE(d_dy.host().same_bytes(d_dpre.host())) << "in place differs";
                });
            }
        }
    }
}

TEST(CudaLinear, BiasGradient) {
    for (const Shape& shape : {Shape{7, 10}, Shape{300, 64}, Shape{1, 1}}) {
        for_each_setting([&](DType dtype) {
            const Guarded dpre = stored_as(dtype, uniform(shape, 5)), x = uniform({shape[0], 3}, 6);
            const Guarded dw({shape[1], 3}), dbias({shape[1]});
            cpu().linear_weight_grad(dw, dbias, dpre, x);
            const OnDevice d_dpre(dpre, dtype), d_dbias(Shape{shape[1]});
            const OnDevice scratch = scratch_on_device(cuda::linear_bias_grad_scratch_bytes(shape));
            cuda::linear_bias_grad(d_dbias, d_dpre, scratch, nullptr);
            EXPECT_TRUE(close(d_dbias, dbias, rounding(DType::F32, static_cast<double>(shape[0])), shape.text()));
        });
    }
}

} // namespace
} // namespace scene::test
