#include "tests/support/op_test.h"

namespace scene::test {
namespace {

GatherRows<HostArray> gather_of(const HostArray& table, int64_t batch, const std::vector<int32_t>& order,
                                uint32_t cursor = 0) {
    Shape rows{batch};
    for (int axis = 1; axis < table.shape.rank(); ++axis) rows.append(table.shape[axis]);
    return {.rows = empty(rows, table.dtype),
            .table = table,
            .order = indices_of({static_cast<int64_t>(order.size())}, order),
            .control = control_of({.cursor = cursor})};
}

TEST(GatherRows, TakesTheRowsInOrderFromTheCursor) {
    const HostArray table = uniform_f32({6, 50, 9}, 1);
    on_each_device(gather_of(table, 3, {5, 0, 3, 3, 1}, 2), [&](const GatherRows<HostArray>& after) {
        const int64_t size = 450, expected[] = {3, 3, 1};
        for (int64_t n = 0; n < 3; ++n)
            for (int64_t i = 0; i < size; ++i) EXPECT_EQ(after.rows[n * size + i], table[expected[n] * size + i]);
    });
}

/// Rows of one element, of whole vectors and of odd lengths; the last batch with padding slots.
TEST(GatherRows, EqualsTheReference) {
    for (const int64_t size : {1, 7, 24, 450, 4100}) {
        const HostArray table = uniform_f32({6, size}, 1);
        expect_like_reference(gather_of(table, 4, {5, 0, -1, 3, 3, -1}, 1), std::to_string(size), {0, 0});
        expect_like_reference(gather_of(table, 4, {5, 0, -1, 3, 3, -1}, 2), std::to_string(size), {0, 0});
    }
    expect_like_reference(gather_of(uniform_f32({5}, 2), 5, {0, 4, -1, 2, 2}), "scalars", {0, 0});
}

TEST(GatherRows, PaddingSlotsAreZeros) {
    const HostArray table = uniform_f32({5, 10}, 1);
    on_each_device(gather_of(table, 3, {-1, 2, -7}), [&](const GatherRows<HostArray>& after) {
        for (int64_t i = 0; i < 10; ++i) {
            EXPECT_EQ(after.rows[i], 0);
            EXPECT_EQ(after.rows[10 + i], table[20 + i]);
            EXPECT_EQ(after.rows[20 + i], 0);
        }
    });
}

/// One of them has the bits of a signalling NaN.
TEST(GatherRows, OfIntegers) {
    const HostArray table = indices_of({3, 2}, {1, -2, 0x7F800001, 4, 5, -1});
    on_each_device(gather_of(table, 3, {2, -1, 1}), [](const GatherRows<HostArray>& after) {
        EXPECT_EQ(after.rows.values, (std::vector<double>{5, -1, -1, -1, 0x7F800001, 4}));
    });
    std::vector<int32_t> many(6 * 12);
    for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int32_t>(i * 0x05F5E101);
    expect_like_reference(gather_of(indices_of({6, 12}, many), 4, {5, 0, -1, 3, 3}, 1));
    expect_like_reference(gather_of(indices_of({6}, {10, -1, 12, 13, 14, 15}), 3, {1, 3, -1}));
}

TEST(GatherRows, SameBits) { expect_same_bits(gather_of(uniform_f32({6, 12000}, 1), 4, {5, 0, -1, 3})); }

TEST(GatherRows, WrongOperandsAreRefused) {
    const GatherRows<HostArray> good = gather_of(uniform_f32({5, 10}, 1), 2, {0, 4});
    const auto refused_with = [&](auto change) {
        GatherRows<HostArray> op = good;
        change(op);
        expect_refused(op);
    };
    expect_like_reference(good);
    refused_with([](auto& op) { op.rows = empty({2, 9}); });
    refused_with([](auto& op) { op.rows = empty({20}); });
    refused_with([](auto& op) { op.rows = empty({2, 10}, DType::I32); });
    refused_with([](auto& op) { op.rows = empty({2, 10}, DType::F16); });
    refused_with([](auto& op) { op.rows = empty({3, 10}); }); // the order has 2 entries
    refused_with([](auto& op) { op.order = uniform_f32({2}, 1); });
    refused_with([](auto& op) { op.order = indices_of({1, 2}, {0, 4}); });
    refused_with([](auto& op) { op.control = op.order; });
}

TEST(GatherRows, PositionsBeyondOrderOrTableAreRefused) {
    const HostArray table = uniform_f32({5, 10}, 1);
    expect_values_refused(gather_of(table, 2, {0, 4}, 1));
    expect_values_refused(gather_of(table, 2, {0, 5}));
}

} // namespace
} // namespace scene::test
