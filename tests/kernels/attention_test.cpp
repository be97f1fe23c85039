#include "tests/support/op_test.h"

namespace scene::test {
namespace {

struct Case {
    int64_t clips, tokens, features;
    int heads;
    Dropout dropout{};

    Shape qkv() const { return {clips, tokens, 3 * features}; }
    Shape y() const { return {clips, tokens, features}; }
    std::string text() const {
        return y().text() + " heads " + std::to_string(heads) + " p " + std::to_string(dropout.p);
    }
};

const std::vector<Case> small_cases{
    {1, 1, 2, 1}, {1, 1, 5, 1}, {2, 3, 6, 2}, {1, 5, 9, 3, {0.4f, 7}}, {2, 4, 4, 4, {0.1f, 7}}};
/// The model's shape, more tokens than a warp has lanes, heads of an odd size.
const std::vector<Case> large_cases{
    {3, 16, 128, 8}, {2, 16, 128, 8, {0.1f, 1}}, {3, 7, 12, 3, {0.2f, 9}}, {1, 17, 40, 1}, {2, 33, 20, 2, {0.2f, 9}}};

AttentionForward<HostArray> forward_of(const Case& c, double low = -2, double high = 2) {
    return {.y = empty_activation(c.y()),
            .qkv = uniform_activation(c.qkv(), 1, low, high),
            .control = control_of({.seed = 5, .step = 3}),
            .heads = c.heads,
            .dropout = c.dropout};
}

AttentionBackward<HostArray> backward_of(const AttentionForward<HostArray>& forward) {
    return {.dqkv = empty_activation(forward.qkv.shape),
            .dy = uniform_activation(forward.y.shape, 2),
            .qkv = forward.qkv,
            .control = forward.control,
            .heads = forward.heads,
            .dropout = forward.dropout};
}

std::vector<Case> all_cases() {
    std::vector<Case> all = small_cases;
    all.insert(all.end(), large_cases.begin(), large_cases.end());
    return all;
}

TEST(Attention, ForwardEqualsTheReference) {
    for (const Case& c : all_cases()) expect_like_reference(forward_of(c), c.text());
}

TEST(Attention, BackwardEqualsTheReference) {
    for (const Case& c : all_cases()) expect_like_reference(backward_of(forward_of(c)), c.text());
}

TEST(Attention, ReferenceGradientsAreFiniteDifferences) {
    using Forward = AttentionForward<HostArray>;
    std::vector<Case> cases = small_cases;
    cases.push_back({1, 9, 8, 2, {0.1f, 1}});
    for (const Case& c : cases) {
        const Forward forward = forward_of(c, -1, 1);
        const AttentionBackward<HostArray> backward = run_reference(backward_of(forward));
        EXPECT_TRUE(near_all(backward.dqkv, numeric_gradient(forward, &Forward::qkv, &Forward::y, backward.dy)))
            << c.text();
    }
}

/// Along a few random directions: a difference for each element takes too long.
TEST(Attention, ReferenceGradientsOfTheModelsShapeAreDirectionalDifferences) {
    const AttentionForward<HostArray> forward = forward_of({2, 16, 128, 8, {0.1f, 3}}, -1, 1);
    const AttentionBackward<HostArray> backward = run_reference(backward_of(forward));
    constexpr double step = 1e-5;
    for (uint64_t seed = 10; seed < 18; ++seed) {
        const HostArray direction = uniform_f32(forward.qkv.shape, seed);
        const auto loss = [&](double t) {
            AttentionForward<HostArray> moved = forward;
            for (int64_t i = 0; i < direction.size(); ++i) moved.qkv[i] += t * direction[i];
            const HostArray y = run_reference(moved).y;
            double sum = 0;
            for (int64_t i = 0; i < y.size(); ++i) sum += y[i] * backward.dy[i];
            return sum;
        };
        double along = 0;
        for (int64_t i = 0; i < direction.size(); ++i) along += backward.dqkv[i] * direction[i];
        EXPECT_NEAR(along, (loss(step) - loss(-step)) / (2 * step), 1e-5);
    }
}

/// Equal keys have equal probabilities, so y is the mean of the values.
TEST(Attention, EqualKeysGiveTheMean) {
    AttentionForward<HostArray> forward = forward_of({1, 4, 2, 1});
    for (int64_t t = 0; t < 4; ++t) {
        for (int64_t d = 0; d < 2; ++d) {
            forward.qkv[t * 6 + 2 + d] = 1;
            forward.qkv[t * 6 + 4 + d] = static_cast<double>(t) + 10 * static_cast<double>(d);
        }
    }
    for_each_setting(true, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, rounded(forward, type)).y.values,
                  (std::vector{1.5, 11.5, 1.5, 11.5, 1.5, 11.5, 1.5, 11.5}));
    });
}

/// Scores of some thousands: each query attends to one token, and exp of a score alone would overflow.
TEST(Attention, LargeScoresDoNotOverflow) {
    for (const double high : {30.0, 200.0}) {
        const AttentionForward<HostArray> forward = forward_of({1, 5, 8, 2}, -high, high);
        const AttentionBackward<HostArray> backward = backward_of(forward);
        for_each_setting(true, [&](TestDevice& device, DType type) {
            for (const double value : run_on(device, type, rounded(forward, type)).y.values)
                ASSERT_LE(std::abs(value), high);
            for (const double value : run_on(device, type, rounded(backward, type)).dqkv.values)
                ASSERT_TRUE(std::isfinite(value));
        });
        // The rounding error of a score is relative to the score, and is absolute in the logarithm of a probability. It
        // depends on the order of the four additions in q k, so the naive version's error is no bound. Scores are
        // computed in float for every activation type.
        expect_like_reference(forward, "up to " + std::to_string(high), {.of_largest = 4 * high * high * 0x1p-24});
    }
}

TEST(Attention, SameBits) {
    const AttentionForward<HostArray> forward = forward_of({5, 16, 128, 8, {0.1f, 1}});
    expect_same_bits(forward);
    expect_same_bits(backward_of(forward));
}

TEST(Attention, WrongOperandsAreRefused) {
    const Case c{1, 4, 8, 2};
    AttentionForward<HostArray> forward = forward_of(c);
    forward.y = empty_activation({1, 4, 9});
    expect_refused(forward);
    for (const int heads : {3, 0, -1}) {
        forward = forward_of(c);
        forward.heads = heads;
        expect_refused(forward);
    }
    forward = forward_of(c);
    forward.dropout = {0.1f, 1};
    forward.control = HostArray();
    expect_refused(forward);
    AttentionBackward<HostArray> backward = backward_of(forward_of(c));
    backward.dy = uniform_activation({1, 4, 9}, 1);
    expect_refused(backward);
    backward = backward_of(forward_of(c));
    backward.dqkv = empty_activation({1, 4, 8});
    expect_refused(backward);
}

} // namespace
} // namespace scene::test
