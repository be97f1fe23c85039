#include <algorithm>
#include <vector>

#include "tests/support/gradients.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

struct Case {
    Shape x; ///< [N, H, W, C]
    bool avg_pool;

    int64_t clips() const { return x[0]; }
    int64_t channels() const { return x[3]; }
    int64_t positions() const { return x[1] * x[2]; }
    Shape y() const { return avg_pool ? Shape{x[0], x[1] / 2, x[2] / 2, x[3]} : x; }
    Shape per_clip() const { return {x[0], x[3]}; }
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
const std::vector<Shape> shapes{{1, 1, 1, 1},   {3, 5, 3, 9},   {1, 7, 4, 18},
                                {2, 41, 6, 40}, {3, 17, 9, 64}, {2, 33, 7, 144}};

struct Operands {
    Guarded x, scale, shift, gate, dy, dpooled;

    explicit Operands(const Case& c)
        : x(uniform(c.x, 1, -2, 2)), scale(uniform({c.channels()}, 2)), shift(uniform({c.channels()}, 3)),
          gate(uniform(c.per_clip(), 4, 0.05f, 0.95f)), dy(uniform(c.y(), 5)), dpooled(uniform(c.per_clip(), 6)) {}

    Values z() const {
        Values z = x.doubles();
        const auto channels = static_cast<size_t>(scale.size());
        for (size_t i = 0; i < z.size(); ++i)
            z[i] = scale.doubles()[i % channels] * z[i] + shift.doubles()[i % channels];
        return z;
    }
};

size_t clip_channel(const Case& c, size_t i) {
    const auto channels = static_cast<size_t>(c.channels());
    return i / (static_cast<size_t>(c.positions()) * channels) * channels + i % channels;
}

/// Where element i of z goes in the output, or -1 beyond the last whole window.
int64_t destination(const Case& c, size_t i) {
    const auto at = static_cast<int64_t>(i);
    if (!c.avg_pool) return at;
    const int64_t channel = at % c.channels(), position = at / c.channels();
    const int64_t w = position % c.x[2] / 2, h = position / c.x[2] % c.x[1] / 2, n = position / c.positions();
    if (w >= c.x[2] / 2 || h >= c.x[1] / 2) return -1;
    return ((n * (c.x[1] / 2) + h) * (c.x[2] / 2) + w) * c.channels() + channel;
}

Values reference_squeeze(const Case& c, const Values& z) {
    Values pooled(static_cast<size_t>(c.clips() * c.channels()));
    for (size_t i = 0; i < z.size(); ++i) pooled[clip_channel(c, i)] += z[i] / static_cast<double>(c.positions());
    return pooled;
}

Values reference_excite(const Case& c, const Values& z, const Values& gate) {
    Values y(static_cast<size_t>(c.y().elements()));
    for (size_t i = 0; i < z.size(); ++i)
        if (const int64_t to = destination(c, i); to >= 0)
            y[static_cast<size_t>(to)] += std::max(0.0, z[i] * gate[clip_channel(c, i)]) * (c.avg_pool ? 0.25 : 1);
    return y;
}

TEST(SqueezeExcite, ForwardEqualsTheReference) {
    for (const Case& c : cases(shapes)) {
        const Operands op(c);
        const Guarded pooled(c.per_clip()), y(c.y());
        cpu().se_squeeze(pooled, op.x, op.scale, op.shift);
        EXPECT_TRUE(close(pooled, reference_squeeze(c, op.z()), roundings(64), "pooled " + c.text()));
        cpu().se_excite_forward(y, op.x, op.scale, op.shift, op.gate, c.avg_pool);
        EXPECT_TRUE(close(y, reference_excite(c, op.z(), op.gate.doubles()), roundings(6), "y " + c.text()));
    }
}

Guarded run_gate(const Case& c, const Operands& op, Backend& backend = cpu()) {
    Guarded dgate(c.per_clip());
    backend.se_excite_backward_gate(dgate, op.dy, op.x, op.scale, op.shift, op.gate, c.avg_pool);
    return dgate;
}

Guarded run_backward(const Case& c, const Operands& op, Backend& backend = cpu()) {
    Guarded dz(c.x);
    backend.se_excite_backward(dz, op.dy, op.x, op.scale, op.shift, op.gate, op.dpooled, c.avg_pool);
    return dz;
}

TEST(SqueezeExcite, BackwardEqualsFiniteDifferences) {
    for (const Case& c : cases(small_shapes)) {
        const Operands op(c);
        const Values z = op.z(), gate = op.gate.doubles(), dy = op.dy.doubles(), dpooled = op.dpooled.doubles();
        const auto of_gate = [&](const Values& at) { return inner_product(reference_excite(c, z, at), dy); };
        // z reaches the loss through the excitation and through the squeeze.
        const auto of_z = [&](const Values& at) {
            return inner_product(reference_excite(c, at, gate), dy) + inner_product(reference_squeeze(c, at), dpooled);
        };
        EXPECT_TRUE(close(run_gate(c, op), finite_differences(gate, of_gate), {.absolute = 1e-6}, "dgate " + c.text()));
        EXPECT_TRUE(close(run_backward(c, op), finite_differences(z, of_z), {.absolute = 1e-6}, "dz " + c.text()));
    }
}

TEST(SqueezeExcite, BackwardEqualsTheFormulaOnLargerShapes) {
    for (const Case& c : cases(shapes)) {
        const Operands op(c);
        const Values z = op.z(), gate = op.gate.doubles();
        Values dgate(gate.size()), dz(z.size());
        for (size_t i = 0; i < z.size(); ++i) {
            const size_t at = clip_channel(c, i);
            const int64_t to = destination(c, i);
            const double share = c.avg_pool ? 0.25 : 1;
            const double dy = to >= 0 && z[i] * gate[at] > 0 ? static_cast<double>(op.dy[to]) * share : 0;
            dgate[at] += dy * z[i];
            dz[i] = dy * gate[at] + op.dpooled.doubles()[at] / static_cast<double>(c.positions());
        }
        EXPECT_TRUE(close(run_gate(c, op), dgate, roundings(64), "dgate " + c.text()));
        EXPECT_TRUE(close(run_backward(c, op), dz, roundings(8), "dz " + c.text()));
    }
}

TEST(SqueezeExcite, SameBitsOnAnyNumberOfThreads) {
    for (const Case& c : cases({{3, 63, 9, 72}, {1, 130, 16, 64}})) {
        const Operands op(c);
        expect_same_bits([&](Backend& backend) {
            std::vector<Guarded> out{Guarded(c.per_clip()), Guarded(c.y()), run_gate(c, op, backend),
                                     run_backward(c, op, backend)};
            backend.se_squeeze(out[0], op.x, op.scale, op.shift);
            backend.se_excite_forward(out[1], op.x, op.scale, op.shift, op.gate, c.avg_pool);
            return out;
        });
    }
}

TEST(SqueezeExcite, WrongShapesAreRefused) {
    const Case c{{2, 4, 4, 6}, false};
    const Operands op(c);
    const Guarded pooled({2, 5}), y(c.y()), gate({6}), line = uniform({2, 1, 4, 6}, 1), flat = uniform({8, 6}, 1);
    EXPECT_THROW(cpu().se_squeeze(pooled, op.x, op.scale, op.shift), std::logic_error);
    EXPECT_THROW(cpu().se_squeeze(op.gate, flat, op.scale, op.shift), std::logic_error);
    EXPECT_THROW(cpu().se_excite_forward(y, op.x, op.scale, op.shift, gate, false), std::logic_error);
    EXPECT_THROW(cpu().se_excite_forward(y, op.x, op.scale, op.shift, op.gate, true), std::logic_error);
    EXPECT_THROW(cpu().se_excite_forward(y, line, op.scale, op.shift, op.gate, true), std::logic_error);
    EXPECT_THROW(cpu().se_excite_backward_gate(pooled, op.dy, op.x, op.scale, op.shift, op.gate, false),
                 std::logic_error);
    EXPECT_THROW(cpu().se_excite_backward(y, op.dy, op.x, op.scale, op.shift, op.gate, pooled, false),
                 std::logic_error);
}

} // namespace
} // namespace scene::test
