#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Forward = EmbeddingForward<HostArray>;
using Backward = EmbeddingBackward<HostArray>;

struct Case {
    int64_t batch, rows, size;

    std::string text() const { return Shape{batch, rows, size}.text(); }
};

const std::vector<Case> cases{{1, 1, 1}, {4, 5, 3}, {7, 22, 16}, {30, 22, 16}, {300, 3, 10}};

/// Unknown, used often, used never.
HostArray index_of(const Case& c) {
    std::vector<int32_t> index;
    for (int64_t n = 0; n < c.batch; ++n) index.push_back(static_cast<int32_t>(n * 7 % (c.rows + 1)) - 1);
    return indices_of({c.batch}, index);
}

Forward forward_of(const Case& c) {
    return {.y = empty_activation({c.batch, c.size}), .table = uniform_f32({c.rows, c.size}, 1), .index = index_of(c)};
}

Backward backward_of(const Case& c) {
    return {.dtable = empty({c.rows, c.size}), .dy = uniform_activation({c.batch, c.size}, 2), .index = index_of(c)};
}

TEST(Embedding, EqualsTheReference) {
    for (const Case& c : cases) {
        Forward forward = forward_of(c);
        Backward backward = backward_of(c);
        expect_like_reference(forward, c.text());
        expect_like_reference(backward, c.text());
        // F32 whatever the activation type is, as in the model.
        forward.y.activation = backward.dy.activation = false;
        expect_like_reference(forward, c.text() + " F32", {.factor = 0, .roundings = 0});
        expect_like_reference(backward, c.text() + " F32");
    }
}

TEST(Embedding, TakesRowsAndZerosForUnknown) {
    const Forward forward{
        .y = empty({4, 2}), .table = with_values({3, 2}, {1, 2, 3, 4, 5, 6}), .index = indices_of({4}, {2, -1, 0, 2})};
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, forward).y.values, (std::vector<double>{5, 6, 0, 0, 1, 2, 5, 6}));
    });
}

/// 1e8 + 1 - 1e8 depends on the order: 0 in batch order in single precision.
TEST(Embedding, BackwardSumsInBatchOrder) {
    const Backward backward{.dtable = empty({4, 2}),
                            .dy = with_values({6, 2}, {1e8, 1, 7, 8, 1, 2, 3, 4, -1e8, 5, 9, 9}),
                            .index = indices_of({6}, {2, -1, 2, 0, 2, -1})};
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, backward).dtable.values, (std::vector<double>{3, 4, 0, 0, 0, 8, 0, 0}));
    });
}

/// The op is linear, so differences are exact at any point and for any step.
TEST(Embedding, ReferenceGradientsAreFiniteDifferences) {
    for (const Case& c : cases) {
        const Backward backward = run_reference(backward_of(c));
        const auto expected = numeric_gradient(forward_of(c), &Forward::table, &Forward::y, backward.dy, 1);
        EXPECT_TRUE(near_all(backward.dtable, expected, 1e-12)) << c.text();
    }
}

/// <dy, y> = <dtable, table>, exact with whole numbers.
TEST(Embedding, BackwardIsTheAdjointOfForward) {
    const Case c{30, 22, 16};
    Forward forward = forward_of(c);
    Backward backward = backward_of(c);
    forward.table = integer_activation({c.rows, c.size}, 1, -9, 9);
    forward.table.activation = false;
    backward.dy = integer_activation({c.batch, c.size}, 2, -9, 9);
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const Forward done = run_on(device, type, forward);
        const Backward gradients = run_on(device, type, backward);
        double of_y = 0, of_table = 0;
        for (int64_t i = 0; i < done.y.size(); ++i) of_y += done.y[i] * gradients.dy[i];
        for (int64_t i = 0; i < done.table.size(); ++i) of_table += done.table[i] * gradients.dtable[i];
        EXPECT_EQ(of_y, of_table);
        EXPECT_NE(of_y, 0);
    });
}

TEST(Embedding, SameBits) {
    const Case c{300, 22, 16};
    expect_same_bits(forward_of(c));
    expect_same_bits(backward_of(c));
}

/// It throws, or gives NaN on a device that cannot throw. Memory beyond the table is neither read nor written.
TEST(Embedding, AnIndexBeyondTheTableShows) {
    const Forward forward{.y = empty({2, 3}), .table = uniform_f32({4, 3}, 1), .index = indices_of({2}, {4, 1})};
    const Backward backward{.dtable = empty({4, 3}), .dy = uniform_f32({2, 3}, 2), .index = forward.index};
    for_each_setting(false, [&](TestDevice& device, DType type) {
        try {
            const HostArray y = run_on(device, type, forward).y;
            for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i < 3) << i;
            const HostArray dtable = run_on(device, type, backward).dtable;
            for (int64_t i = 0; i < dtable.size(); ++i) EXPECT_EQ(dtable[i] != 0, i / 3 == 1) << i;
        } catch (const std::logic_error&) { EXPECT_THROW(run_on(device, type, backward), std::logic_error); }
    });
}

TEST(Embedding, WrongShapesAndTypesAreRefused) {
    const Case c{2, 5, 3};
    Forward forward = forward_of(c);
    forward.index = indices_of({3}, {0, 0, 0});
    expect_refused(forward);
    forward = forward_of(c);
    forward.y = empty_activation({2, 4});
    expect_refused(forward);
    forward = forward_of(c);
    forward.index = uniform_f32({2}, 1);
    expect_refused(forward);
    forward = forward_of(c);
    forward.table = uniform_f32({15}, 1);
    expect_refused(forward);
    Backward backward = backward_of(c);
    backward.dy = uniform_activation({2, 4}, 1);
    expect_refused(backward);
    backward = backward_of(c);
    backward.index = indices_of({1}, {0});
    expect_refused(backward);
}

} // namespace
} // namespace scene::test
