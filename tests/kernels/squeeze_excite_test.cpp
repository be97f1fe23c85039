#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Squeeze = SqueezeExciteSqueeze<HostArray>;
using Forward = SqueezeExciteForward<HostArray>;
using BackwardGate = SqueezeExciteBackwardGate<HostArray>;
using Backward = SqueezeExciteBackward<HostArray>;

struct Case {
    Shape x; ///< [N, H, W, C]
    bool avg_pool;

    Shape y() const { return avg_pool ? Shape{x[0], x[1] / 2, x[2] / 2, x[3]} : x; }
    Shape per_clip() const { return {x[0], x[3]}; }
    Shape per_channel() const { return {x[3]}; }
    std::string text() const { return x.text() + (avg_pool ? " pool" : ""); }
};

std::vector<Case> cases(const std::vector<Shape>& shapes) {
    std::vector<Case> all;
    for (const Shape& shape : shapes) {
        all.push_back({shape, false});
        if (shape[1] > 1 && shape[2] > 1) all.push_back({shape, true});
    }
    return all;
}

const std::vector<Shape> small_shapes{{1, 2, 2, 1}, {2, 3, 5, 3}, {1, 4, 3, 9}};
// One position, odd extents, vectors of four and eight channels, blocks of one line, sums of several chunks.
const std::vector<Shape> shapes{{1, 1, 1, 1},  {2, 2, 3, 1},   {3, 5, 3, 9},   {1, 7, 4, 18},  {3, 7, 5, 10},
                                {2, 8, 6, 16}, {1, 5, 4, 264}, {2, 41, 6, 40}, {1, 33, 7, 144}};

Squeeze squeeze_of(const Case& c) {
    return {.pooled = empty(c.per_clip()),
            .x = uniform_activation(c.x, 1, -2, 2),
            .scale = uniform_f32(c.per_channel(), 2, -2, 2),
            .shift = uniform_f32(c.per_channel(), 3)};
}

Forward forward_of(const Case& c) {
    const Squeeze input = squeeze_of(c);
    return {.y = empty_activation(c.y()),
            .x = input.x,
            .scale = input.scale,
            .shift = input.shift,
            .gate = uniform_f32(c.per_clip(), 4, 0.05, 0.95),
            .avg_pool = c.avg_pool};
}

BackwardGate backward_gate_of(const Forward& forward) {
    return {.dgate = empty(forward.gate.shape),
            .dy = uniform_activation(forward.y.shape, 5),
            .x = forward.x,
            .scale = forward.scale,
            .shift = forward.shift,
            .gate = forward.gate,
            .avg_pool = forward.avg_pool};
}

Backward backward_of(const Forward& forward) {
    return {.dz = empty_activation(forward.x.shape),
            .dy = uniform_activation(forward.y.shape, 5),
            .x = forward.x,
            .scale = forward.scale,
            .shift = forward.shift,
            .gate = forward.gate,
            .dpooled = uniform_f32(forward.gate.shape, 6, -9, 9),
            .avg_pool = forward.avg_pool};
}

TEST(SqueezeExcite, SqueezeEqualsTheReference) {
    for (const Shape& shape : shapes) expect_like_reference(squeeze_of({shape, false}), shape.text());
}

TEST(SqueezeExcite, ForwardEqualsTheReference) {
    for (const Case& c : cases(shapes)) expect_like_reference(forward_of(c), c.text());
}

TEST(SqueezeExcite, BackwardEqualsTheReference) {
    for (const Case& c : cases(shapes)) {
        expect_like_reference(backward_gate_of(forward_of(c)), c.text());
        expect_like_reference(backward_of(forward_of(c)), c.text());
    }
}

/// Wide rows make small blocks, so that a clip's sums have more chunks than are added side by side.
TEST(SqueezeExcite, SumsOfManyChunks) {
    const Case c{{1, 20, 15, 259}, false};
    expect_like_reference(squeeze_of(c));
    expect_like_reference(backward_gate_of(forward_of(c)));
}

/// z affects the loss through the excitation and through the squeeze.
TEST(SqueezeExcite, ReferenceGradientsAreFiniteDifferences) {
    for (const Case& c : cases(small_shapes)) {
        const Forward forward = forward_of(c);
        const Backward backward = run_reference(backward_of(forward));
        const auto excited = numeric_gradient(forward, &Forward::x, &Forward::y, backward.dy);
        const auto squeezed = numeric_gradient(squeeze_of(c), &Squeeze::x, &Squeeze::pooled, backward.dpooled);
        HostArray dx = backward.dz;
        std::vector<double> expected;
        for (int64_t i = 0; i < dx.size(); ++i) {
            dx[i] *= backward.scale[i % backward.scale.size()]; // z = scale*x + shift
            expected.push_back(excited[static_cast<size_t>(i)] + squeezed[static_cast<size_t>(i)]);
        }
        EXPECT_TRUE(near_all(dx, expected)) << c.text();
        EXPECT_TRUE(near_all(run_reference(backward_gate_of(forward)).dgate,
                             numeric_gradient(forward, &Forward::gate, &Forward::y, backward.dy)))
            << c.text();
    }
}

/// Whole numbers, so that z is often exactly 0 and every sum is exact.
TEST(SqueezeExcite, NothingPassesTheReluAtZero) {
    const Allowance exact{.factor = 0, .roundings = 0};
    for (const Case& c : cases({{2, 4, 4, 10}, {2, 8, 2, 16}})) {
        Forward forward = forward_of(c);
        forward.x = integer_activation(c.x, 1, -2, 2);
        for (double& scale : forward.scale.values) scale = 1;
        for (double& shift : forward.shift.values) shift = 0;
        for (double& gate : forward.gate.values) gate = 0.5;
        BackwardGate backward_gate = backward_gate_of(forward);
        Backward backward = backward_of(forward);
        backward_gate.dy = backward.dy = integer_activation(c.y(), 5, -4, 4);
        for (double& value : backward.dpooled.values) value = 16;
        expect_like_reference(forward, c.text(), exact);
        expect_like_reference(backward_gate, c.text(), exact);
        expect_like_reference(backward, c.text(), exact);
        const Backward done = run_reference(backward);
        for (int64_t i = 0; i < done.dz.size(); ++i)
            EXPECT_TRUE(done.x[i] > 0 || done.dz[i] == 1) << "only the squeeze's share reaches " << i;
    }
}

TEST(SqueezeExcite, NaNPasses) {
    for (const Case& c : cases({{2, 4, 6, 8}})) {
        Squeeze squeeze = squeeze_of(c);
        Forward forward = forward_of(c);
        const int64_t position = 6 + 1, channel = 3; // row 1, column 1: in the first window
        squeeze.x[position * 8 + channel] = forward.x[position * 8 + channel] = std::nan("");
        for_each_setting(true, [&](TestDevice& device, DType type) {
            const HostArray pooled = run_on(device, type, rounded(squeeze, type)).pooled;
            const HostArray y = run_on(device, type, rounded(forward, type)).y;
            for (int64_t i = 0; i < pooled.size(); ++i) EXPECT_EQ(std::isnan(pooled[i]), i == channel) << i;
            const int64_t at = (c.avg_pool ? 0 : position) * 8 + channel;
            for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i == at) << i;
        });
    }
}

TEST(SqueezeExcite, SameBits) {
    for (const Case& c : cases({{2, 33, 15, 72}})) {
        const Forward forward = forward_of(c);
        if (!c.avg_pool) expect_same_bits(squeeze_of(c));
        expect_same_bits(forward);
        expect_same_bits(backward_gate_of(forward));
        expect_same_bits(backward_of(forward));
    }
}

TEST(SqueezeExcite, WrongShapesAreRefused) {
    const Case c{{2, 4, 4, 6}, false};
    Squeeze squeeze = squeeze_of(c);
    squeeze.pooled = empty({2, 5});
    expect_refused(squeeze);
    squeeze = squeeze_of(c);
    squeeze.x = uniform_activation({8, 6}, 1);
    expect_refused(squeeze);
    squeeze = squeeze_of(c);
    squeeze.scale = uniform_f32({5}, 1);
    expect_refused(squeeze);
    Forward forward = forward_of(c);
    forward.gate = uniform_f32({6}, 1);
    expect_refused(forward);
    forward = forward_of(c);
    forward.avg_pool = true; // y is not pooled
    expect_refused(forward);
    forward = forward_of({{2, 1, 4, 6}, false});
    forward.avg_pool = true;
    forward.y = empty_activation({2, 1, 2, 6});
    expect_refused(forward);
    BackwardGate backward_gate = backward_gate_of(forward_of(c));
    backward_gate.dgate = empty({2, 5});
    expect_refused(backward_gate);
    backward_gate = backward_gate_of(forward_of(c));
    backward_gate.avg_pool = true; // dy is not pooled
    expect_refused(backward_gate);
    Backward backward = backward_of(forward_of(c));
    backward.dpooled = uniform_f32({2, 5}, 1);
    expect_refused(backward);
    backward = backward_of(forward_of(c));
    backward.dz = empty_activation({2, 4, 6, 4});
    expect_refused(backward);
}

} // namespace
} // namespace scene::test
