#include "tests/support/op_test.h"

namespace scene::test {
namespace {

struct Case {
    int64_t clips, tokens, features;
    int heads;
    Dropout dropout;

    Shape qkv() const { return {clips, tokens, 3 * features}; }
    Shape y() const { return {clips, tokens, features}; }
    std::string text() const {
        return y().text() + " heads " + std::to_string(heads) + " p " + std::to_string(dropout.p);
    }
};

const std::vector<Case> small_cases = {
    {1, 1, 2, 1, {}}, {2, 3, 6, 2, {}}, {1, 5, 9, 3, {0.4f, 7}}, {2, 4, 4, 4, {0.1f, 7}}, {3, 7, 12, 3, {0.2f, 9}}};
const std::vector<Case> large_cases = {
    {2, 16, 128, 8, {}}, {2, 16, 128, 8, {0.1f, 1}}, {1, 17, 40, 1, {}}, {2, 33, 20, 2, {0.2f, 9}}};

AttentionForward<HostArray> forward_of(const Case& c, double range = 2) {
    return {.y = empty_activation(c.y()),
            .qkv = uniform_activation(c.qkv(), 1, -range, range),
            .control = control_of({.seed = 5, .step = 3}),
            .heads = c.heads,
            .dropout = c.dropout};
}

AttentionBackward<HostArray> backward_of(const Case& c, double range = 1) {
    const AttentionForward<HostArray> forward = forward_of(c, range);
    return {.dqkv = empty_activation(c.qkv()),
            .dy = uniform_activation(c.y(), 2),
            .qkv = forward.qkv,
            .control = forward.control,
            .heads = c.heads,
            .dropout = c.dropout};
}

std::vector<Case> all_cases() {
    std::vector<Case> cases = small_cases;
    cases.insert(cases.end(), large_cases.begin(), large_cases.end());
    return cases;
}

TEST(Attention, ForwardEqualsTheReference) {
    for (const Case& c : all_cases()) expect_like_reference(forward_of(c), c.text());
}

TEST(Attention, BackwardEqualsTheReference) {
    for (const Case& c : all_cases()) expect_like_reference(backward_of(c), c.text());
}

TEST(Attention, ReferenceGradientIsFiniteDifferences) {
    using Forward = AttentionForward<HostArray>;
    for (const Case& c : small_cases) {
        const AttentionBackward<HostArray> backward = run_reference(backward_of(c));
        EXPECT_TRUE(
            near_all(backward.dqkv, numeric_gradient(forward_of(c, 1), &Forward::qkv, &Forward::y, backward.dy)))
            << c.text();
    }
}

/// Scores of some hundreds: exp() of a score alone would overflow. The score itself rounds, by 1e-7 of it, and so the
/// probability's logarithm.
TEST(Attention, LargeScoresStayFinite) {
    const Case c{1, 5, 8, 2, {}};
    expect_like_reference(forward_of(c, 30), "", {.factor = 2, .roundings = 1000});
    for (TestDevice* device : devices()) {
        const AttentionBackward<HostArray> backward =
            run_on(*device, device->activation_types().front(), backward_of({1, 4, 8, 2, {}}, 200));
        for (const double value : backward.dqkv.values) EXPECT_TRUE(std::isfinite(value)) << device->name();
    }
}

TEST(Attention, SameBits) {
    const Case c{5, 16, 128, 8, {0.1f, 1}};
    expect_same_bits(forward_of(c));
    expect_same_bits(backward_of(c));
}

TEST(Attention, WrongShapesAreRefused) {
    const Case c{1, 4, 8, 2, {}};
    AttentionForward<HostArray> forward = forward_of(c);
    forward.y = empty_activation({1, 4, 9});
    expect_refused(forward);
    for (const int heads : {0, 3}) {
        forward = forward_of(c);
        forward.heads = heads;
        expect_refused(forward);
    }
    forward = forward_of({1, 4, 8, 2, {0.1f, 1}});
    forward.control = HostArray();
    expect_refused(forward);
    AttentionBackward<HostArray> backward = backward_of(c);
    backward.dy = empty_activation({1, 4, 9});
    expect_refused(backward);
    backward = backward_of(c);
    backward.dqkv = empty_activation(c.y());
    expect_refused(backward);
}

} // namespace
} // namespace scene::test
