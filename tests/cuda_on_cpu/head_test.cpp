// The small ops of the fusion head: embedding, columns.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaEmbedding, ForwardAndBackward) {
    const Guarded table = uniform({22, 16}, 1), index = filled_int({7}, {3, -1, 21, 3, 0, -1, 3});
    for_each_setting([&](DType dtype) {
        const Guarded y({7, 16}), dtable({22, 16}), dy = stored_as(dtype, uniform({7, 16}, 2));
        cpu().embedding_forward(y, table, index);
        cpu().embedding_backward(dtable, dy, index);
        const OnDevice d_y({7, 16}, dtype), d_table(table), d_index(index), d_dy(dy, dtype), d_dtable({22, 16});
        cuda::embedding_forward(d_y, d_table, d_index, nullptr);
        cuda::embedding_backward(d_dtable, d_dy, d_index, nullptr);
        EXPECT_TRUE(close(d_y, y, rounding(dtype), "y"));
        EXPECT_TRUE(close(d_dtable, dtable, rounding(DType::F32), "dtable"));
    });
}

TEST(CudaEmbedding, AnIndexBeyondTheTableShows) {
    const OnDevice table(uniform({4, 3}, 1)), index(filled_int({2}, {4, 1})), y({2, 3});
    cuda::embedding_forward(y, table, index, nullptr);
    EXPECT_TRUE(std::isnan(y.host()[0]));
    EXPECT_FALSE(std::isnan(y.host()[3]));
}

TEST(CudaColumns, ConcatenateAndSplit) {
    for_each_setting([](DType dtype) {
        const Guarded a = stored_as(dtype, uniform({5, 128}, 1)), b = stored_as(dtype, uniform({5, 16}, 2)),
                      c = stored_as(dtype, uniform({5, 1}, 3));
        const Guarded whole({5, 145});
        cpu().concat_columns(whole, {a, b, c});
        const OnDevice d_a(a, dtype), d_b(b, dtype), d_c(c, dtype), d_whole({5, 145}, dtype);
        cuda::concat_columns(d_whole, {d_a, d_b, d_c}, nullptr);
        EXPECT_TRUE(close(d_whole, whole, {}, "whole"));
        const OnDevice e_a({5, 128}, dtype), e_b({5, 16}, dtype), e_c({5, 1}, dtype);
        cuda::split_columns({e_a, e_b, e_c}, d_whole, nullptr);
        EXPECT_TRUE(close(e_a, a, {}, "first part"));
        EXPECT_TRUE(close(e_b, b, {}, "second part"));
        EXPECT_TRUE(close(e_c, c, {}, "third part"));
    });
}

} // namespace
} // namespace scene::test
