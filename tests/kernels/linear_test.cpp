#include "tests/support/op_test.h"

namespace scene::test {
namespace {

struct Extents {
    int64_t rows, in, out;

    std::string text() const { return Shape{rows, in, out}.text(); }
};

const std::vector<Extents> extents = {{48, 128, 384}, {16, 128, 10}, {3, 9, 16},
                                      {1, 1, 1},      {131, 40, 33}, {300, 12, 64}};
const std::vector<Activation> activations = {Activation::None, Activation::Relu, Activation::Sigmoid};
const std::vector<Dropout> dropouts = {{}, {.p = 0.3f, .stream = 9}};
const StepControl step{.seed = 77, .step = 5};

/// Weights that give sums of unit variance.
HostArray weights(const Extents& e) {
    const double bound = std::sqrt(3.0 / static_cast<double>(e.in));
    return uniform_f32({e.out, e.in}, 2, -bound, bound);
}

LinearForward<HostArray> forward_of(const Extents& e, Activation activation = Activation::None,
                                    const Dropout& dropout = {}) {
    return {.y = empty({e.rows, e.out}),
            .x = uniform_f32({e.rows, e.in}, 1, -2, 2),
            .w = weights(e),
            .bias = uniform_f32({e.out}, 3),
            .control = control_of(step),
            .activation = activation,
            .dropout = dropout};
}

LinearActivationBackward<HostArray> activation_backward_of(const LinearForward<HostArray>& forward) {
    HostArray y = run_reference(forward).y;
    y.activation = true; // the op also works between activations of half precision
    return {.dpre = empty_activation(y.shape),
            .dy = uniform_activation(y.shape, 4),
            .y = y,
            .control = forward.control,
            .activation = forward.activation,
            .dropout = forward.dropout};
}

LinearDataGrad<HostArray> data_grad_of(const Extents& e) {
    return {.dx = empty({e.rows, e.in}), .dpre = uniform_f32({e.rows, e.out}, 4), .w = weights(e)};
}

LinearWeightGrad<HostArray> weight_grad_of(const Extents& e) {
    return {.dw = empty({e.out, e.in}),
            .dbias = empty({e.out}),
            .dpre = uniform_f32({e.rows, e.out}, 4),
            .x = uniform_f32({e.rows, e.in}, 1)};
}

TEST(Linear, ForwardEqualsTheReference) {
    for (const Extents& e : extents)
        for (const Activation activation : activations)
            for (const Dropout& dropout : dropouts) expect_like_reference(forward_of(e, activation, dropout), e.text());
}

TEST(Linear, BiasMayBeAbsent) {
    for (const Extents& e : extents) {
        LinearForward<HostArray> forward = forward_of(e);
        forward.bias = HostArray();
        forward.control = HostArray();
        expect_like_reference(forward, e.text());
    }
}

TEST(Linear, ActivationBackwardIsTheSlopeUnderTheSameMask) {
    for (const Extents& e : extents)
        for (const Activation activation : activations)
            for (const Dropout& dropout : dropouts)
                expect_like_reference(activation_backward_of(forward_of(e, activation, dropout)), e.text());
}

TEST(Linear, ActivationBackwardWorksInPlace) {
    LinearActivationBackward<HostArray> backward =
        activation_backward_of(forward_of({33, 9, 64}, Activation::Sigmoid, dropouts[1]));
    backward.dy = at_place(backward.dy, "gradient");
    backward.dpre = at_place(backward.dpre, "gradient");
    expect_like_reference(backward);
}

TEST(Linear, DataGradEqualsTheReference) {
    for (const Extents& e : extents) expect_like_reference(data_grad_of(e), e.text());
}

TEST(Linear, DataGradAddsToWhatIsThere) {
    for (const Extents& e : extents) {
        LinearDataGrad<HostArray> grad = data_grad_of(e);
        grad.addend = at_place(uniform_f32({e.rows, e.in}, 6), "dx");
        grad.dx = at_place(grad.dx, "dx");
        expect_like_reference(grad, e.text());
    }
}

TEST(Linear, TheAddendIsTheOutputItself) {
    LinearDataGrad<HostArray> grad = data_grad_of({3, 9, 16});
    grad.addend = uniform_f32({3, 9}, 6);
    expect_refused(grad);
}

TEST(Linear, WeightGradEqualsTheReference) {
    for (const Extents& e : extents) {
        LinearWeightGrad<HostArray> grad = weight_grad_of(e);
        expect_like_reference(grad, e.text());
        grad.dbias = HostArray();
        expect_like_reference(grad, e.text() + " without bias");
    }
}

TEST(Linear, ReferenceGradientsAreFiniteDifferences) {
    using Forward = LinearForward<HostArray>;
    for (const Dropout& dropout : dropouts) {
        const Forward forward = forward_of({3, 5, 4}, Activation::Sigmoid, dropout);
        LinearActivationBackward<HostArray> to_pre = activation_backward_of(forward);
        const HostArray dpre = run_reference(to_pre).dpre;
        const auto gradient = [&](auto input) { return numeric_gradient(forward, input, &Forward::y, to_pre.dy); };
        LinearDataGrad<HostArray> data{.dx = empty({3, 5}), .dpre = dpre, .w = forward.w};
        EXPECT_TRUE(near_all(run_reference(data).dx, gradient(&Forward::x)));
        LinearWeightGrad<HostArray> weight{.dw = empty({4, 5}), .dbias = empty({4}), .dpre = dpre, .x = forward.x};
        const auto grads = run_reference(weight);
        EXPECT_TRUE(near_all(grads.dw, gradient(&Forward::w)));
        EXPECT_TRUE(near_all(grads.dbias, gradient(&Forward::bias)));
    }
}

TEST(Linear, SameBits) {
    const Extents e{131, 40, 33};
    expect_same_bits(forward_of(e, Activation::Relu, dropouts[1]));
    expect_same_bits(data_grad_of(e));
    expect_same_bits(weight_grad_of(e));
}

TEST(Linear, WrongShapesAreRefused) {
    LinearForward<HostArray> forward = forward_of({3, 9, 16});
    forward.w = uniform_f32({16, 8}, 1);
    expect_refused(forward);
    forward = forward_of({3, 9, 16});
    forward.bias = uniform_f32({15}, 1);
    expect_refused(forward);
    forward = forward_of({3, 9, 16}, Activation::None, dropouts[1]);
    forward.control = HostArray();
    expect_refused(forward);
}

} // namespace
} // namespace scene::test
