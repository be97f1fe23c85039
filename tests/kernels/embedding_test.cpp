#include <vector>

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

TEST(Embedding, ForwardTakesRowsAndZerosForUnknown) {
    const Guarded table = uniform({5, 3}, 1), y({4, 3});
    cpu().embedding_forward(y, table, filled_int({4}, {4, -1, 0, 4}));
    Values expected;
    for (const int64_t row : {4, -1, 0, 4})
        for (int64_t e = 0; e < 3; ++e) expected.push_back(row < 0 ? 0 : static_cast<double>(table[row * 3 + e]));
    EXPECT_TRUE(close(y, expected, {}, "y"));
}

TEST(Embedding, BackwardSumsRowsInBatchOrder) {
    // 1e8 + 1 - 1e8 depends on the order: 0 in batch order in single precision.
    const Guarded dy = filled({6, 2}, {1e8f, 1, 7, 8, 1, 2, 3, 4, -1e8f, 5, 9, 9}), dtable({4, 2});
    cpu().embedding_backward(dtable, dy, filled_int({6}, {2, -1, 2, 0, 2, -1}));
    EXPECT_TRUE(close(dtable, {3, 4, 0, 0, 0, 8, 0, 0}, {}, "dtable"));
}

TEST(Embedding, BackwardIsTheAdjointOfForward) {
    const Guarded table = integers({22, 16}, 1, -9, 9), dy = integers({30, 16}, 2, -9, 9), y({30, 16}),
                  dtable({22, 16});
    Guarded index({30}, DType::I32);
    for (size_t n = 0; n < 30; ++n) index.as<int32_t>()[n] = static_cast<int32_t>(n * 7 % 23) - 1;
    cpu().embedding_forward(y, table, index);
    cpu().embedding_backward(dtable, dy, index);
    double forward = 0, backward = 0;
    for (int64_t i = 0; i < y.size(); ++i) forward += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
    for (int64_t i = 0; i < table.size(); ++i)
        backward += static_cast<double>(table[i]) * static_cast<double>(dtable[i]);
    EXPECT_EQ(forward, backward);
    EXPECT_NE(forward, 0);
}

TEST(Embedding, WrongIndicesShapesAndTypesAreRefused) {
    const Guarded table = uniform({5, 3}, 1), y({2, 3}), wide({2, 4}), floats = uniform({2}, 1);
    EXPECT_THROW(cpu().embedding_forward(y, table, filled_int({2}, {0, 5})), std::logic_error);
    EXPECT_THROW(cpu().embedding_forward(y, table, filled_int({2}, {-2, 0})), std::logic_error);
    EXPECT_THROW(cpu().embedding_forward(y, table, filled_int({3}, {0, 0, 0})), std::logic_error);
    EXPECT_THROW(cpu().embedding_forward(wide, table, filled_int({2}, {0, 0})), std::logic_error);
    EXPECT_THROW(cpu().embedding_forward(y, table, floats), std::logic_error);
    EXPECT_THROW(cpu().embedding_backward(table, wide, filled_int({2}, {0, 0})), std::logic_error);
    EXPECT_THROW(cpu().embedding_backward(table, y, filled_int({2}, {0, 5})), std::logic_error);
}

TEST(Columns, ConcatAndSplitAreInverse) {
    const Guarded a = uniform({3, 128}, 1), b = uniform({3, 1}, 2), c = uniform({3, 9}, 3), whole({3, 138});
    cpu().concat_columns(whole, {a, b, c});
    for (int64_t n = 0; n < 3; ++n) {
        EXPECT_EQ(whole[n * 138 + 127], a[n * 128 + 127]);
        EXPECT_EQ(whole[n * 138 + 128], b[n]);
        EXPECT_EQ(whole[n * 138 + 129], c[n * 9]);
    }
    const Guarded a2({3, 128}), b2({3, 1}), c2({3, 9});
    cpu().split_columns({a2, b2, c2}, whole);
    EXPECT_TRUE(a2.same_bytes(a));
    EXPECT_TRUE(b2.same_bytes(b));
    EXPECT_TRUE(c2.same_bytes(c));
}

TEST(Columns, WrongShapesAreRefused) {
    const Guarded a = uniform({3, 4}, 1), b = uniform({3, 2}, 2), tall = uniform({4, 2}, 3), whole({3, 6});
    EXPECT_THROW(cpu().concat_columns(whole, {a}), std::logic_error);
    EXPECT_THROW(cpu().concat_columns(whole, {a, tall}), std::logic_error);
    EXPECT_THROW(cpu().concat_columns(whole, {a, b, b}), std::logic_error);
    EXPECT_THROW(cpu().split_columns({a, Tensor{}}, whole), std::logic_error);
    EXPECT_NO_THROW(cpu().concat_columns(whole, {a, b}));
}

} // namespace
} // namespace scene::test
