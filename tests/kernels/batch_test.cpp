#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

TEST(GatherRows, TakesTheRowsInOrderFromTheCursor) {
    const Guarded table = uniform({6, 50, 9}, 1), rows({3, 50, 9}), order = filled_int({5}, {5, 0, 3, 3, 1});
    cpu().gather_rows(rows, table, order, control_with({.cursor = 2}));
    const int64_t size = 450;
    const std::vector<int64_t> expected{3, 3, 1};
    for (int64_t n = 0; n < 3; ++n)
        for (int64_t i = 0; i < size; ++i)
            EXPECT_EQ(rows[n * size + i], table[expected[static_cast<size_t>(n)] * size + i]);
}

TEST(GatherRows, OfIntegersAndOfHalves) {
    const Guarded labels = filled_int({4}, {10, -1, 12, 13}), picked({2}, DType::I32);
    const Guarded order = filled_int({2}, {1, 3}), control = control_with({});
    cpu().gather_rows(picked, labels, order, control);
    EXPECT_EQ(picked.as<int32_t>()[0], -1);
    EXPECT_EQ(picked.as<int32_t>()[1], 13);

    const Guarded table = uniform({4, 7}, 1), halves({2, 7}, DType::F16);
    cpu().gather_rows(halves, table, order, control);
    const auto* values = static_cast<const _Float16*>(static_cast<Tensor>(halves).data);
    for (int64_t i = 0; i < 7; ++i) {
        EXPECT_EQ(values[i], static_cast<_Float16>(table[7 + i]));
        EXPECT_EQ(values[7 + i], static_cast<_Float16>(table[21 + i]));
    }
}

TEST(ScatterRows, IsTheInverseAndLeavesOtherRows) {
    const Guarded rows = uniform({2, 10}, 1), table = uniform({5, 10}, 2), before = table;
    const Guarded order = filled_int({4}, {9, 4, 0, 9}), control = control_with({.cursor = 1});
    cpu().scatter_rows(table, rows, order, control);
    const Guarded again({2, 10});
    cpu().gather_rows(again, table, order, control);
    EXPECT_TRUE(again.same_bytes(rows));
    for (int64_t i = 10; i < 40; ++i) EXPECT_EQ(table[i], before[i]);
}

TEST(Batches, EmptyPlacesAreZerosOrMinusOneAndAreNotWrittenBack) {
    const Guarded table = uniform({5, 10}, 1), before = table, rows({3, 10}), halves({3, 10}, DType::F16);
    const Guarded labels = filled_int({5}, {4, 5, 6, 7, 8}), picked({3}, DType::I32);
    const Guarded order = filled_int({3}, {-1, 2, -1}), control = control_with({});
    cpu().gather_rows(rows, table, order, control);
    cpu().gather_rows(halves, table, order, control);
    cpu().gather_rows(picked, labels, order, control);
    const auto* narrow = static_cast<const _Float16*>(static_cast<Tensor>(halves).data);
    for (int64_t i = 0; i < 10; ++i) {
        EXPECT_EQ(rows[i], 0);
        EXPECT_EQ(rows[10 + i], table[20 + i]);
        EXPECT_EQ(rows[20 + i], 0);
        EXPECT_EQ(static_cast<float>(narrow[i]), 0);
        EXPECT_EQ(narrow[10 + i], static_cast<_Float16>(table[20 + i]));
    }
    EXPECT_EQ(picked.as<int32_t>()[0], -1);
    EXPECT_EQ(picked.as<int32_t>()[1], 6);
    EXPECT_EQ(picked.as<int32_t>()[2], -1);
    cpu().scatter_rows(table, rows, order, control);
    EXPECT_TRUE(table.same_bytes(before));
}

TEST(Batches, WrongOperandsAreRefused) {
    const Guarded table = uniform({5, 10}, 1), rows({2, 10}), narrow({2, 9}), ints({2, 10}, DType::I32);
    const Guarded order = filled_int({3}, {0, 5, -1}), start = control_with({}), late = control_with({.cursor = 2});
    const Guarded good = filled_int({2}, {0, 4});
    EXPECT_NO_THROW(cpu().gather_rows(rows, table, good, start));
    EXPECT_THROW(cpu().gather_rows(rows, table, good, late), std::logic_error) << "beyond the order";
    EXPECT_THROW(cpu().gather_rows(rows, table, order, start), std::logic_error) << "row 5 of 5";
    EXPECT_THROW(cpu().gather_rows(narrow, table, good, start), std::logic_error);
    EXPECT_THROW(cpu().gather_rows(ints, table, good, start), std::logic_error);
    EXPECT_THROW(cpu().gather_rows(rows, table, rows, start), std::logic_error);
    EXPECT_THROW(cpu().gather_rows(rows, table, good, good), std::logic_error);
    EXPECT_THROW(cpu().scatter_rows(table, rows, order, start), std::logic_error);
    EXPECT_THROW(cpu().scatter_rows(ints, ints, good, start), std::logic_error);
}

TEST(Advance, MovesCursorAndStepOnly) {
    const Guarded control = control_with(
        {.seed = 9, .step = 4, .cursor = 64, .learning_rate = 0.5f, .loss_scale = 2, .nonfinite = 0, .good_steps = 3});
    cpu().advance(control, 16, 1);
    cpu().advance(control, 16, 0);
    const StepControl after = control_in(control);
    EXPECT_EQ(after.cursor, 96u);
    EXPECT_EQ(after.step, 5u);
    EXPECT_EQ(after.seed, 9u);
    EXPECT_EQ(after.learning_rate, 0.5f);
    EXPECT_EQ(after.loss_scale, 2.0f);
    EXPECT_EQ(after.nonfinite, 0u);
    EXPECT_EQ(after.good_steps, 3u);
}

TEST(Advance, ASkippedStepMovesTheCursorAlone) {
    const Guarded control = control_with({.step = 4, .cursor = 64, .nonfinite = 1});
    cpu().advance(control, 16, 1);
    const StepControl after = control_in(control);
    EXPECT_EQ(after.cursor, 80u);
    EXPECT_EQ(after.step, 4u);
    EXPECT_EQ(after.nonfinite, 1u);
}

TEST(FillZero, ClearsEveryTypeAndNothingBeside) {
    for (const DType dtype : {DType::F32, DType::F64, DType::I32, DType::U8, DType::F16}) {
        const Guarded x({3, 100001}, dtype);
        cpu().fill_zero(x);
        const Tensor tensor = x;
        const auto* bytes = static_cast<const unsigned char*>(tensor.data);
        EXPECT_TRUE(std::all_of(bytes, bytes + tensor.bytes(), [](unsigned char byte) { return byte == 0; }));
    }
    EXPECT_THROW(cpu().fill_zero({}), std::logic_error);
}

} // namespace
} // namespace scene::test
