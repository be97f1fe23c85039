#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Forward = ConcatForward<HostArray>;
using Backward = ConcatBackward<HostArray>;

struct Case {
    int64_t rows;
    std::vector<int64_t> columns; ///< of each part

    Shape y() const {
        int64_t sum = 0;
        for (const int64_t size : columns) sum += size;
        return {rows, sum};
    }
    std::string text() const { return y().text() + " of " + std::to_string(columns.size()) + " parts"; }
};

const std::vector<Case> cases{{1, {1}},          {4, {7}},           {3, {128, 1, 9}},
                              {5, {128, 16, 1}}, {33, {4, 2, 3, 5}}, {2, {1, 1, 1, 300}}};
/// Values are copied, so there is no error.
const Allowance exact{.factor = 0, .roundings = 0};

Forward forward_of(const Case& c, bool activation) {
    Forward op{.y = activation ? empty_activation(c.y()) : empty(c.y()), .parts = {}};
    for (size_t p = 0; p < c.columns.size(); ++p) {
        const Shape part{c.rows, c.columns[p]};
        op.parts[p] = activation ? uniform_activation(part, p + 1) : uniform_f32(part, p + 1);
    }
    return op;
}

Backward backward_of(const Case& c, bool activation) {
    Backward op{.dparts = {}, .dy = activation ? uniform_activation(c.y(), 9) : uniform_f32(c.y(), 9)};
    for (size_t p = 0; p < c.columns.size(); ++p) {
        const Shape part{c.rows, c.columns[p]};
        op.dparts[p] = activation ? empty_activation(part) : empty(part);
    }
    return op;
}

TEST(Concat, EqualsTheReference) {
    for (const Case& c : cases)
        for (const bool activation : {false, true}) {
            expect_like_reference(forward_of(c, activation), c.text(), exact);
            expect_like_reference(backward_of(c, activation), c.text(), exact);
        }
}

TEST(Concat, PartsStandSideBySide) {
    Forward forward{
        .y = empty({2, 4}),
        .parts = {with_values({2, 1}, {1, 2}), with_values({2, 2}, {3, 4, 5, 6}), with_values({2, 1}, {7, 8})}};
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, forward).y.values, (std::vector<double>{1, 3, 4, 7, 2, 5, 6, 8}));
    });
}

TEST(Concat, BackwardIsTheInverse) {
    for (const Case& c : cases)
        for_each_setting(true, [&](TestDevice& device, DType type) {
            const Forward forward = run_on(device, type, rounded(forward_of(c, true), type));
            Backward backward = backward_of(c, true);
            backward.dy = forward.y;
            backward = run_on(device, type, backward);
            for (size_t p = 0; p < c.columns.size(); ++p)
                EXPECT_EQ(backward.dparts[p].values, forward.parts[p].values) << c.text() << ", part " << p;
        });
}

/// The op is linear, so finite differences are exact for any step.
TEST(Concat, ReferenceGradientsAreFiniteDifferences) {
    const Case c{5, {3, 1, 4}};
    const Backward backward = run_reference(backward_of(c, false));
    for (size_t p = 0; p < c.columns.size(); ++p) {
        Forward forward = forward_of(c, false);
        HostArray& at = forward.parts[p];
        std::vector<double> expected;
        for (int64_t i = 0; i < at.size(); ++i) {
            double difference = 0;
            for (const double sign : {1.0, -1.0}) {
                at[i] += sign;
                const HostArray y = run_reference(forward).y;
                at[i] -= sign;
                for (int64_t k = 0; k < y.size(); ++k) difference += sign * y[k] * backward.dy[k] / 2;
            }
            expected.push_back(difference);
        }
        EXPECT_TRUE(near_all(backward.dparts[p], expected, 1e-12)) << "part " << p;
    }
}

TEST(Concat, SameBits) {
    const Case c{33, {128, 16, 1}};
    expect_same_bits(forward_of(c, true));
    expect_same_bits(backward_of(c, true));
}

TEST(Concat, WrongPartsAreRefused) {
    const HostArray a = uniform_f32({3, 4}, 1), b = uniform_f32({3, 2}, 2), tall = uniform_f32({4, 2}, 3);
    const HostArray whole = empty({3, 6});
    expect_refused(Forward{.y = whole, .parts = {}});
    expect_refused(Forward{.y = whole, .parts = {a}});
    expect_refused(Forward{.y = whole, .parts = {a, tall}});
    expect_refused(Forward{.y = whole, .parts = {a, b, b}});
    expect_refused(Forward{.y = whole, .parts = {a, HostArray(), b}});
    expect_refused(Forward{.y = empty({3, 6}, DType::F16), .parts = {a, b}});
    expect_refused(Forward{.y = empty({18}), .parts = {a, b}});
    expect_refused(Backward{.dparts = {empty({3, 4}), HostArray()}, .dy = uniform_f32({3, 6}, 4)});
    expect_refused(Backward{.dparts = {empty({3, 4}), empty({3, 3})}, .dy = uniform_f32({3, 6}, 4)});
    expect_like_reference(Forward{.y = whole, .parts = {a, b}});
}

} // namespace
} // namespace scene::test
