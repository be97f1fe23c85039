#include "tests/support/op_test.h"

namespace scene::test {
namespace {

struct Case {
    Shape x;
    Dropout dropout;

    int64_t features() const { return x[x.rank() - 1]; }
    int64_t rows() const { return x.elements() / features(); }
    std::string text() const { return x.text() + " p " + std::to_string(dropout.p); }
};

const std::vector<Case> cases = {{{1, 1, 2}, {}},         {{2, 3, 9}, {0.3f, 1}},   {{1, 5, 18}, {}},
                                 {{3, 2, 40}, {0.1f, 2}}, {{2, 1, 33}, {0.5f, 3}},  {{2, 16, 128}, {0.1f, 4}},
                                 {{37, 12}, {}},          {{1, 1, 300}, {0.25f, 2}}};

LayerNormForward<HostArray> forward_of(const Case& c) {
    return {.y = empty_activation(c.x),
            .moments = empty({c.rows(), 2}),
            .x = uniform_activation(c.x, 1, -1, 3),
            .branch = uniform_activation(c.x, 2),
            .gamma = uniform_f32({c.features()}, 3, 0.5, 1.5),
            .beta = uniform_f32({c.features()}, 4),
            .control = control_of({.seed = 8, .step = 3}),
            .epsilon = 1e-5f,
            .dropout = c.dropout};
}

/// The backward pass with the moments of a forward pass.
LayerNormBackward<HostArray> backward_of(const LayerNormForward<HostArray>& forward) {
    return {.dx = empty_activation(forward.x.shape),
            .dbranch = empty_activation(forward.x.shape),
            .dgamma = empty(forward.gamma.shape),
            .dbeta = empty(forward.beta.shape),
            .dy = uniform_activation(forward.x.shape, 5),
            .moments = run_reference(forward).moments,
            .x = forward.x,
            .branch = forward.branch,
            .gamma = forward.gamma,
            .control = forward.control,
            .dropout = forward.dropout};
}

TEST(LayerNorm, ForwardEqualsTheReference) {
    for (const Case& c : cases) expect_like_reference(forward_of(c), c.text());
}

TEST(LayerNorm, BackwardEqualsTheReference) {
    for (const Case& c : cases) expect_like_reference(backward_of(forward_of(c)), c.text());
}

TEST(LayerNorm, GradientsOfManyRows) { expect_like_reference(backward_of(forward_of({{4300, 8}, {}}))); }

TEST(LayerNorm, ReferenceGradientsAreFiniteDifferences) {
    for (const Case& c : cases) {
        if (c.features() == 2 || c.x.elements() > 1000) continue; // with two features the third derivative is too large
        const LayerNormForward<HostArray> forward = forward_of(c);
        const LayerNormBackward<HostArray> backward = run_reference(backward_of(forward));
        using Forward = LayerNormForward<HostArray>;
        const auto gradient = [&](auto input) { return numeric_gradient(forward, input, &Forward::y, backward.dy); };
        EXPECT_TRUE(near_all(backward.dx, gradient(&Forward::x))) << c.text();
        EXPECT_TRUE(near_all(backward.dbranch, gradient(&Forward::branch))) << c.text();
        EXPECT_TRUE(near_all(backward.dgamma, gradient(&Forward::gamma))) << c.text();
        EXPECT_TRUE(near_all(backward.dbeta, gradient(&Forward::beta))) << c.text();
    }
}

TEST(LayerNorm, SameBits) {
    const LayerNormForward<HostArray> forward = forward_of({{40, 16, 128}, {0.1f, 4}});
    expect_same_bits(forward);
    expect_same_bits(backward_of(forward));
}

TEST(LayerNorm, WrongShapesAreRefused) {
    const Case c{{2, 3, 9}, {}};
    LayerNormForward<HostArray> forward = forward_of(c);
    forward.gamma = uniform_f32({8}, 1);
    expect_refused(forward);
    forward = forward_of(c);
    forward.branch = uniform_activation({8}, 1);
    expect_refused(forward);
    forward = forward_of(c);
    forward.moments = empty({5, 2});
    expect_refused(forward);
    LayerNormBackward<HostArray> backward = backward_of(forward_of(c));
    backward.dbranch = empty_activation({8});
    expect_refused(backward);
}

} // namespace
} // namespace scene::test
