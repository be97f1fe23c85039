// The small ops of the fusion head: embedding, columns, linear layers' elementwise parts.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaEmbedding, ForwardAndBackward) {
    const Guarded table = uniform({22, 16}, 1), index = filled_int({7}, {3, -1, 21, 3, 0, -1, 3});
    for_each_setting([&](DType dtype) {
        const Guarded y({7, 16}), dtable({22, 16}), dy = stored_as(dtype, uniform({7, 16}, 2));
        cpu().embedding_forward(y, table, index);
        cpu().embedding_backward(dtable, dy, index);
        const OnDevice d_y({7, 16}, dtype), d_table(table), d_index(index), d_dy(dy, dtype), d_dtable({22, 16});
        cuda::embedding_forward(d_y, d_table, d_index, nullptr);
        cuda::embedding_backward(d_dtable, d_dy, d_index, nullptr);
        EXPECT_TRUE(close(d_y, y, rounding(dtype), "y"));
        EXPECT_TRUE(close(d_dtable, dtable, rounding(DType::F32), "dtable"));
    });
}

TEST(CudaEmbedding, AnIndexBeyondTheTableShows) {
    const OnDevice table(uniform({4, 3}, 1)), index(filled_int({2}, {4, 1})), y({2, 3});
    cuda::embedding_forward(y, table, index, nullptr);
    EXPECT_TRUE(std::isnan(y.host()[0]));
    EXPECT_FALSE(std::isnan(y.host()[3]));
}

TEST(CudaColumns, ConcatenateAndSplit) {
    for_each_setting([](DType dtype) {
        const Guarded a = stored_as(dtype, uniform({5, 128}, 1)), b = stored_as(dtype, uniform({5, 16}, 2)),
                      c = stored_as(dtype, uniform({5, 1}, 3));
        const Guarded whole({5, 145});
        cpu().concat_columns(whole, {a, b, c});
        const OnDevice d_a(a, dtype), d_b(b, dtype), d_c(c, dtype), d_whole({5, 145}, dtype);
        cuda::concat_columns(d_whole, {d_a, d_b, d_c}, nullptr);
        EXPECT_TRUE(close(d_whole, whole, {}, "whole"));
        const OnDevice e_a({5, 128}, dtype), e_b({5, 16}, dtype), e_c({5, 1}, dtype);
        cuda::split_columns({e_a, e_b, e_c}, d_whole, nullptr);
        EXPECT_TRUE(close(e_a, a, {}, "first part"));
        EXPECT_TRUE(close(e_b, b, {}, "second part"));
        EXPECT_TRUE(close(e_c, c, {}, "third part"));
    });
}

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
