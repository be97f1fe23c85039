#include "tests/support/op_test.h"

namespace scene::test {
namespace {

struct Extents {
    int64_t rows, in, out;
    std::string text() const {
        return std::to_string(rows) + " x " + std::to_string(in) + " to " + std::to_string(out);
    }
};

/// Panels of the CPU's GEMM with and without a remainder, row blocks of 64 with a remainder, ten classes, one of
/// everything.
const std::vector<Extents> cases{{48, 128, 384}, {16, 128, 10}, {3, 9, 16}, {1, 1, 1}, {131, 40, 33}, {7, 5, 49}};
const std::vector<Activation> activations{Activation::None, Activation::Relu, Activation::Sigmoid};
const std::vector<Dropout> dropouts{{}, {.p = 0.3f, .stream = 9}};
const HostArray control = control_of({.seed = 77, .step = 5});

LinearForward<HostArray> forward_of(const Extents& e, Activation activation = Activation::None,
                                    const Dropout& dropout = {}) {
    return {.y = empty({e.rows, e.out}),
            .x = uniform_f32({e.rows, e.in}, 1),
            .w = uniform_f32({e.out, e.in}, 2),
            .bias = uniform_f32({e.out}, 3),
            .control = control,
            .activation = activation,
            .dropout = dropout};
}

LinearDataGrad<HostArray> data_grad_of(const Extents& e) {
    return {.dx = empty({e.rows, e.in}), .dpre = uniform_f32({e.rows, e.out}, 4), .w = uniform_f32({e.out, e.in}, 2)};
}

/// dx += dpre w.
LinearDataGrad<HostArray> data_grad_onto(const Extents& e, const std::string& place = "dx") {
    LinearDataGrad<HostArray> op = data_grad_of(e);
    op.dx = at_place(op.dx, "dx");
    op.addend = at_place(uniform_f32({e.rows, e.in}, 6), place);
    return op;
}

LinearWeightGrad<HostArray> weight_grad_of(const Extents& e) {
    return {.dw = empty({e.out, e.in}),
            .dbias = empty({e.out}),
            .dpre = uniform_f32({e.rows, e.out}, 4),
            .x = uniform_f32({e.rows, e.in}, 1)};
}

LinearActivationBackward<HostArray> activation_backward_of(const Shape& shape, Activation activation,
                                                           const Dropout& dropout) {
    return {.dpre = empty_activation(shape),
            .dy = uniform_activation(shape, 4),
            .y = uniform_activation(shape, 3),
            .control = control,
            .activation = activation,
            .dropout = dropout};
}

/// Whole numbers from -3 to 3.
HostArray whole_numbers(const Shape& shape, uint64_t seed) {
    HostArray array = integer_activation(shape, seed, -3, 3);
    array.activation = false;
    return array;
}

const Allowance product{.product = true};
/// Nothing is rounded.
const Allowance exact{.factor = 0, .roundings = 0};

TEST(Linear, ForwardEqualsTheReference) {
    for (const Extents& e : cases)
        for (const Activation activation : activations)
            for (const Dropout& dropout : dropouts)
                expect_like_reference(forward_of(e, activation, dropout),
                                      e.text() + " activation " + std::to_string(static_cast<int>(activation)) + " p " +
                                          std::to_string(dropout.p),
                                      product);
}

/// Also the only case in which a GPU runs no epilogue after the GEMM.
TEST(Linear, BiasMayBeAbsent) {
    for (const Extents& e : cases) {
        for (const Activation activation : activations) {
            LinearForward<HostArray> op = forward_of(e, activation);
            op.bias = HostArray();
            expect_like_reference(op, e.text(), product);
        }
    }
}

TEST(Linear, DataGradEqualsTheReference) {
    for (const Extents& e : cases) {
        expect_like_reference(data_grad_of(e), e.text(), product);
        expect_like_reference(data_grad_onto(e), e.text() + " onto dx", product);
    }
}

TEST(Linear, WeightGradEqualsTheReference) {
    for (const Extents& e : cases) {
        LinearWeightGrad<HostArray> op = weight_grad_of(e);
        expect_like_reference(op, e.text(), product);
        op.dbias = HostArray();
        expect_like_reference(op, e.text() + " without bias", product);
    }
    expect_like_reference(weight_grad_of({4300, 3, 12}), "many rows", product);
}

TEST(Linear, WholeNumbersAreExact) {
    for (const Extents& e : cases) {
        LinearForward<HostArray> forward = forward_of(e, Activation::Relu);
        forward.x = whole_numbers({e.rows, e.in}, 1);
        forward.w = whole_numbers({e.out, e.in}, 2);
        forward.bias = whole_numbers({e.out}, 3);
        expect_like_reference(forward, e.text(), exact);
        LinearDataGrad<HostArray> data_grad = data_grad_onto(e);
        data_grad.dpre = whole_numbers({e.rows, e.out}, 4);
        data_grad.w = forward.w;
        data_grad.addend = at_place(whole_numbers({e.rows, e.in}, 5), "dx");
        expect_like_reference(data_grad, e.text(), exact);
        LinearWeightGrad<HostArray> weight_grad = weight_grad_of(e);
        weight_grad.dpre = data_grad.dpre;
        weight_grad.x = forward.x;
        expect_like_reference(weight_grad, e.text(), exact);
    }
}

TEST(Linear, ActivationBackwardEqualsTheReference) {
    for (const Shape& shape : {Shape{7, 10}, Shape{33, 64}, Shape{1, 1}}) {
        for (const Activation activation : activations) {
            for (const Dropout& dropout : dropouts) {
                LinearActivationBackward<HostArray> op = activation_backward_of(shape, activation, dropout);
                expect_like_reference(op, shape.text());
                op.dpre = at_place(op.dpre, "dy");
                op.dy = at_place(op.dy, "dy");
                expect_like_reference(op, shape.text() + " in place");
            }
        }
    }
}

/// Dropped elements are 0, forward and backward, and a relu at 0 passes nothing.
TEST(Linear, DroppedElementsAreZero) {
    const Dropout dropout{.p = 0.3f, .stream = 9};
    const Shape shape{33, 64};
    LinearForward<HostArray> forward = forward_of({shape[0], 5, shape[1]}, Activation::Sigmoid, dropout);
    LinearActivationBackward<HostArray> backward = activation_backward_of(shape, Activation::None, dropout);
    LinearActivationBackward<HostArray> at_zero = activation_backward_of(shape, Activation::Relu, {});
    std::fill(at_zero.y.values.begin(), at_zero.y.values.end(), 0.0);
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const HostArray y = run_on(device, type, rounded(forward, type)).y,
                        dpre = run_on(device, type, rounded(backward, type)).dpre;
        int64_t dropped = 0;
        for (int64_t i = 0; i < y.size(); ++i) {
            const bool is_dropped =
                random_word(77, dropout.stream, 5, static_cast<uint64_t>(i)) < dropout_threshold(dropout.p);
            dropped += is_dropped;
            ASSERT_EQ(y[i] == 0, is_dropped) << "element " << i;
            if (is_dropped) { ASSERT_EQ(dpre[i], 0) << "element " << i; }
        }
        EXPECT_GT(dropped, 0);
        for (const double value : run_on(device, type, rounded(at_zero, type)).dpre.values) ASSERT_EQ(value, 0);
    });
}

TEST(Linear, ReluPassesANanOn) {
    LinearForward<HostArray> forward = forward_of({2, 3, 5}, Activation::Relu);
    forward.x[1] = std::nan("");
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const HostArray y = run_on(device, type, forward).y;
        for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i < 5) << i;
    });
}

/// The ops of a backward pass, in their order, against differences of the forward pass.
TEST(Linear, ReferenceGradientsAreFiniteDifferences) {
    using Forward = LinearForward<HostArray>;
    for (const Extents& e : {Extents{3, 9, 16}, Extents{1, 1, 1}, Extents{5, 4, 10}}) {
        for (const Activation activation : activations) {
            for (const Dropout& dropout : dropouts) {
                const Forward forward = forward_of(e, activation, dropout);
                const HostArray dy = uniform_f32({e.rows, e.out}, 4);
                LinearActivationBackward<HostArray> back = activation_backward_of(dy.shape, activation, dropout);
                back.dy = dy;
                back.y = run_reference(forward).y;
                const HostArray dpre = run_reference(back).dpre;
                LinearDataGrad<HostArray> data_grad = data_grad_of(e);
                data_grad.dpre = dpre;
                LinearWeightGrad<HostArray> weight_grad = weight_grad_of(e);
                weight_grad.dpre = dpre;
                weight_grad = run_reference(weight_grad);
                const auto gradient = [&](auto input) { return numeric_gradient(forward, input, &Forward::y, dy); };
                EXPECT_TRUE(near_all(run_reference(data_grad).dx, gradient(&Forward::x))) << e.text();
                EXPECT_TRUE(near_all(weight_grad.dw, gradient(&Forward::w))) << e.text();
                EXPECT_TRUE(near_all(weight_grad.dbias, gradient(&Forward::bias))) << e.text();
            }
        }
    }
}

TEST(Linear, SameBits) {
    for (const Extents& e : {Extents{48, 128, 384}, Extents{131, 40, 33}, Extents{1, 1, 1}}) {
        expect_same_bits(forward_of(e, Activation::Relu, {.p = 0.3f, .stream = 9}));
        expect_same_bits(data_grad_of(e));
        expect_same_bits(data_grad_onto(e));
        expect_same_bits(weight_grad_of(e));
        expect_same_bits(activation_backward_of({e.rows, e.out}, Activation::Sigmoid, {.p = 0.3f, .stream = 9}));
    }
}

TEST(Linear, WrongOperandsAreRefused) {
    const Extents e{3, 2, 4};
    LinearForward<HostArray> forward = forward_of(e);
    forward.x = uniform_f32({2, 3}, 1);
    expect_refused(forward);
    forward = forward_of(e);
    forward.y = empty({4, 4});
    expect_refused(forward);
    forward = forward_of(e);
    forward.bias = uniform_f32({3}, 1);
    expect_refused(forward);
    forward = forward_of(e, Activation::None, {.p = 0.1f, .stream = 1});
    forward.control = HostArray();
    expect_refused(forward);
    forward = forward_of(e, Activation::None, {.p = 1, .stream = 1});
    expect_refused(forward);
    LinearDataGrad<HostArray> data_grad = data_grad_of(e);
    data_grad.dpre = uniform_f32({3, 2}, 1);
    expect_refused(data_grad);
    expect_refused(data_grad_onto(e, "another tensor"));
    LinearWeightGrad<HostArray> weight_grad = weight_grad_of(e);
    weight_grad.dpre = uniform_f32({2, 4}, 1);
    expect_refused(weight_grad);
    weight_grad = weight_grad_of(e);
    weight_grad.dbias = empty({2});
    expect_refused(weight_grad);
    LinearActivationBackward<HostArray> back = activation_backward_of({3, 4}, Activation::Relu, {});
    back.dpre = empty_activation({4, 3});
    expect_refused(back);
}

} // namespace
} // namespace scene::test
