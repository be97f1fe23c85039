#include "tests/support/op_test.h"

namespace scene::test {
namespace {

ScatterRows<HostArray> scatter_of(const HostArray& table, const HostArray& rows, const std::vector<int32_t>& order,
                                  uint32_t cursor = 0) {
    return {.table = table,
            .rows = rows,
            .order = indices_of({static_cast<int64_t>(order.size())}, order),
            .control = control_of({.cursor = cursor})};
}

/// Rows of one element, of whole vectors and of odd lengths; with padding slots.
TEST(ScatterRows, EqualsTheReference) {
    for (const int64_t size : {1, 10, 16, 1030}) {
        const HostArray table = uniform_f32({6, size}, 1), rows = uniform_f32({4, size}, 2);
        expect_like_reference(scatter_of(table, rows, {0, 5, -1, 3, 1, 2}, 1), std::to_string(size), {0, 0});
    }
    expect_like_reference(scatter_of(uniform_f32({6}, 1), uniform_f32({3}, 2), {5, -1, 0}), "scalars", {0, 0});
}

TEST(ScatterRows, IsTheInverseAndLeavesOtherRows) {
    const HostArray rows = uniform_f32({2, 10}, 1), table = uniform_f32({5, 10}, 2);
    on_each_device(scatter_of(table, rows, {9, 4, 0, 9}, 1), [&](const ScatterRows<HostArray>& after) {
        const auto gathered = run_reference(GatherRows<HostArray>{
            .rows = empty({2, 10}), .table = after.table, .order = after.order, .control = after.control});
        EXPECT_EQ(gathered.rows.values, rows.values);
        for (int64_t i = 10; i < 40; ++i) EXPECT_EQ(after.table[i], table[i]);
    });
}

TEST(ScatterRows, PaddingSlotsAreNotWrittenBack) {
    const HostArray table = uniform_f32({5, 10}, 2);
    on_each_device(scatter_of(table, uniform_f32({3, 10}, 1), {-1, -1, -2}),
                   [&](const ScatterRows<HostArray>& after) { EXPECT_EQ(after.table.values, table.values); });
}

TEST(ScatterRows, WrongOperandsAreRefused) {
    const HostArray table = uniform_f32({5, 10}, 1), rows = uniform_f32({2, 10}, 2);
    expect_like_reference(scatter_of(table, rows, {0, 4}));
    expect_refused(scatter_of(table, uniform_f32({2, 9}, 2), {0, 4}));
    expect_refused(scatter_of(table, uniform_f32({2, 10, 1}, 2), {0, 4}));
    expect_refused(scatter_of(table, rows, {0}));
    const HostArray ints = indices_of({2}, {1, 2});
    expect_refused(scatter_of(ints, ints, {0, 1}));
    expect_values_refused(scatter_of(table, rows, {0, 5}));
    expect_values_refused(scatter_of(table, rows, {0, 4}, 1));
}

} // namespace
} // namespace scene::test
