#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Forward = TokenPoolForward<HostArray>;
using Backward = TokenPoolBackward<HostArray>;

struct Case {
    Shape x; ///< [N, H, W, C]
    int64_t tokens;

    Shape y() const { return {x[0], tokens, x[3]}; }
    std::string text() const { return x.text() + " to " + std::to_string(tokens) + " tokens"; }
};

// The model's extents; T that divides H and T that does not; T = H, T > H, one token, one row; channels that fill
// vectors and channels that do not.
const std::vector<Case> cases{{{1, 62, 8, 9}, 16}, {{3, 7, 3, 5}, 3},    {{2, 6, 1, 18}, 6}, {{1, 3, 2, 4}, 5},
                              {{2, 5, 4, 40}, 1},  {{1, 1, 1, 1}, 1},    {{2, 5, 1, 1}, 8},  {{2, 16, 3, 16}, 4},
                              {{1, 7, 2, 264}, 3}, {{2, 31, 3, 128}, 16}};

/// Tokens are F32 or of the activation type.
std::vector<Forward> forward_of(const Case& c) {
    const HostArray x = uniform_activation(c.x, 1);
    return {{.y = empty(c.y()), .x = x}, {.y = empty_activation(c.y()), .x = x}};
}

std::vector<Backward> backward_of(const Case& c) {
    const HostArray dx = empty_activation(c.x);
    return {{.dx = dx, .dy = uniform_f32(c.y(), 2)}, {.dx = dx, .dy = uniform_activation(c.y(), 2)}};
}

TEST(TokenPool, ForwardEqualsTheReference) {
    for (const Case& c : cases)
        for (const Forward& forward : forward_of(c)) expect_like_reference(forward, c.text());
}

TEST(TokenPool, BackwardEqualsTheReference) {
    for (const Case& c : cases)
        for (const Backward& backward : backward_of(c)) expect_like_reference(backward, c.text());
}

/// Two tokens of three rows share the middle row.
TEST(TokenPool, TokensOverlapWhereTheyDoNotDivideTheRows) {
    const Forward forward{.y = empty({1, 2, 1}), .x = with_values({1, 3, 2, 1}, {1, 3, 4, 8, 2, 6})};
    const Backward backward{.dx = empty({1, 3, 2, 1}), .dy = with_values({1, 2, 1}, {4, 8})};
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, forward).y.values, (std::vector<double>{4, 5}));
        EXPECT_EQ(run_on(device, type, backward).dx.values, (std::vector<double>{1, 1, 3, 3, 2, 2}));
    });
}

/// The op is linear, so differences are exact at any point and for any step.
TEST(TokenPool, ReferenceGradientsAreFiniteDifferences) {
    for (const Case& c : cases) {
        if (c.x.elements() > 1000) continue;
        const Backward backward = run_reference(backward_of(c)[0]);
        const auto expected = numeric_gradient(forward_of(c)[0], &Forward::x, &Forward::y, backward.dy, 1);
        EXPECT_TRUE(near_all(backward.dx, expected, 1e-12)) << c.text();
    }
}

/// <dy, pool(x)> = <dx, x> for every x and dy.
TEST(TokenPool, ReferenceBackwardIsTheAdjointOfForward) {
    for (const Case& c : cases) {
        const Forward forward = run_reference(forward_of(c)[0]);
        const Backward backward = run_reference(backward_of(c)[0]);
        double of_y = 0, of_x = 0;
        for (int64_t i = 0; i < forward.y.size(); ++i) of_y += forward.y[i] * backward.dy[i];
        for (int64_t i = 0; i < forward.x.size(); ++i) of_x += forward.x[i] * backward.dx[i];
        EXPECT_NEAR(of_x, of_y, 1e-12) << c.text();
    }
}

TEST(TokenPool, SameBits) {
    const Case c{{3, 62, 8, 128}, 16};
    expect_same_bits(forward_of(c)[0]);
    expect_same_bits(backward_of(c)[0]);
}

TEST(TokenPool, WrongShapesAndTypesAreRefused) {
    const Case c{{2, 6, 3, 5}, 4};
    Forward forward = forward_of(c)[0];
    forward.y = empty({2, 4, 6});
    expect_refused(forward);
    forward = forward_of(c)[0];
    forward.x = uniform_activation({2, 4, 5}, 1);
    expect_refused(forward);
    Backward backward = backward_of(c)[0];
    backward.dy = uniform_f32({2, 4, 6}, 1);
    expect_refused(backward);
    // F16 tokens need an F16 input.
    expect_refused(Forward{.y = empty(c.y(), DType::F16), .x = uniform_f32(c.x, 1)});
}

} // namespace
} // namespace scene::test
