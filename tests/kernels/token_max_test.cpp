#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Forward = TokenMaxForward<HostArray>;
using Backward = TokenMaxBackward<HostArray>;

const std::vector<Shape> shapes{{1, 1, 1},   {2, 1, 7},  {3, 5, 9},   {3, 16, 10},
                                {2, 16, 18}, {1, 7, 40}, {5, 9, 128}, {3, 16, 128}};
/// Values are only copied, and whole numbers survive every type.
const Allowance exact{.factor = 0, .roundings = 0};

HostArray in_f32(HostArray array) {
    array.activation = false;
    return array;
}

/// Few whole numbers, so that equal maxima are frequent.
Forward forward_of(const Shape& x) {
    const Shape y{x[0], x[2]};
    return {.y = empty_activation(y), .argmax = empty(y, DType::I32), .x = integer_activation(x, 1, -2, 2)};
}

/// The backward pass with the argmax of a forward pass.
Backward backward_of(const Forward& forward) {
    return {.dx = empty_activation(forward.x.shape),
            .dy = integer_activation(forward.y.shape, 2, -99, 99),
            .argmax = run_reference(forward).argmax};
}

TEST(TokenMax, EqualsTheReference) {
    for (const Shape& shape : shapes) {
        Forward forward = forward_of(shape);
        Backward backward = backward_of(forward);
        expect_like_reference(forward, shape.text(), exact);
        expect_like_reference(backward, shape.text(), exact);
        // F32 maxima of an input of the activation type.
        forward.y = in_f32(forward.y);
        backward.dy = in_f32(backward.dy);
        expect_like_reference(forward, shape.text() + " to F32", exact);
        expect_like_reference(backward, shape.text() + " from F32", exact);
        // F32 throughout, as in the model.
        forward.x = in_f32(forward.x);
        backward.dx = in_f32(backward.dx);
        expect_like_reference(forward, shape.text() + " F32", exact);
        expect_like_reference(backward, shape.text() + " F32", exact);
    }
}

TEST(TokenMax, FirstOfEqualMaxima) {
    const Forward forward{.y = empty({1, 3}),
                          .argmax = empty({1, 3}, DType::I32),
                          .x = with_values({1, 4, 3}, {1, 3, -5, 7, 3, -4, 7, 0, -4, 6, 3, -6})};
    const Backward backward{
        .dx = empty({1, 4, 3}), .dy = with_values({1, 3}, {10, 20, 30}), .argmax = indices_of({1, 3}, {1, 0, 1})};
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const Forward done = run_on(device, type, forward);
        EXPECT_EQ(done.y.values, (std::vector<double>{7, 3, -4}));
        EXPECT_EQ(done.argmax.values, (std::vector<double>{1, 0, 1}));
        EXPECT_EQ(run_on(device, type, backward).dx.values,
                  (std::vector<double>{0, 20, 0, 10, 0, 30, 0, 0, 0, 0, 0, 0}));
    });
}

TEST(TokenMax, PassesANanOn) {
    for (int64_t token = 0; token < 3; ++token) {
        Forward forward{
            .y = empty({1, 2}), .argmax = empty({1, 2}, DType::I32), .x = with_values({1, 3, 2}, {7, 1, 9, 3, 8, 2})};
        forward.x[2 * token] = std::nan("");
        for_each_setting(false, [&](TestDevice& device, DType type) {
            const Forward done = run_on(device, type, forward);
            EXPECT_TRUE(std::isnan(done.y[0])) << token;
            EXPECT_EQ(done.argmax[0], static_cast<double>(token));
            EXPECT_EQ(done.y[1], 3);
        });
    }
}

TEST(TokenMax, ReferenceGradientsAreFiniteDifferences) {
    Forward forward = forward_of({2, 5, 9});
    forward.x = uniform_activation({2, 5, 9}, 3); // no two are equal
    const Backward backward = run_reference(backward_of(forward));
    EXPECT_TRUE(near_all(backward.dx, numeric_gradient(forward, &Forward::x, &Forward::y, backward.dy)));
}

TEST(TokenMax, SameBits) {
    Forward forward = forward_of({37, 16, 128});
    forward.x = uniform_activation(forward.x.shape, 3);
    expect_same_bits(forward);
    expect_same_bits(backward_of(forward));
}

TEST(TokenMax, WrongShapesAndTypesAreRefused) {
    const Shape shape{2, 4, 5};
    Forward forward = forward_of(shape);
    forward.argmax = empty({2, 5});
    expect_refused(forward);
    forward = forward_of(shape);
    forward.x = uniform_activation({2, 4, 6}, 1);
    expect_refused(forward);
    forward = forward_of(shape);
    forward.x = uniform_activation({8, 5}, 1);
    expect_refused(forward);
    Backward backward = backward_of(forward_of(shape));
    backward.dx = empty_activation({2, 4, 6});
    expect_refused(backward);
    // F16 maxima need an F16 input.
    expect_refused(
        Forward{.y = empty({2, 5}, DType::F16), .argmax = empty({2, 5}, DType::I32), .x = uniform_f32(shape, 1)});
}

} // namespace
} // namespace scene::test
