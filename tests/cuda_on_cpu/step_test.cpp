// What surrounds the network in a step: batches, conversions.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaBatch, GatherFillsEmptyPlaces) {
    const Guarded order = filled_int({6}, {5, 0, -1, 3, 3, -1}), state = control_with({.cursor = 1});
    for (const int64_t size : {1, 7, 24}) {
        const Guarded table = uniform({6, size}, 1);
        for_each_setting([&](DType dtype) {
            const OnDevice rows({4, size}, dtype), d_table(table), d_order(order), d_state(state);
            cuda::gather_rows(rows, d_table, d_order, d_state, nullptr);
            const Guarded got = rows.host(), stored = stored_as(dtype, table);
            for (int64_t n = 0; n < 4; ++n) {
                const int32_t from = order.as<int32_t>()[static_cast<size_t>(n + 1)];
                for (int64_t i = 0; i < size; ++i)
                    EXPECT_EQ(got[n * size + i], from < 0 ? 0.0f : stored[from * size + i]) << n << ", " << i;
            }
        });
    }
}

TEST(CudaBatch, GatherOfIntegers) {
    const OnDevice table(filled_int({3, 2}, {1, -2, 0x7F800001, 4, 5, -1})), order(filled_int({3}, {2, -1, 1}));
    const OnDevice rows(Shape{3, 2}, DType::I32), state(control_with({}));
    cuda::gather_rows(rows, table, order, state, nullptr);
    const Guarded got = rows.host();
    EXPECT_EQ(std::vector<int32_t>(got.as<int32_t>().begin(), got.as<int32_t>().end()),
              (std::vector<int32_t>{5, -1, -1, -1, 0x7F800001, 4}));
}

TEST(CudaBatch, ScatterSkipsEmptyPlaces) {
    const Guarded order = filled_int({6}, {0, 5, -1, 3, 1, 2}), state = control_with({.cursor = 1});
    for (const int64_t size : {1, 10, 16}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            const Guarded before = uniform({6, size}, 1), rows = uniform({4, size}, 2);
            const OnDevice table(before), d_rows(rows), d_order(order), d_state(state);
            cuda::scatter_rows(table, d_rows, d_order, d_state, nullptr);
            Guarded expected(before);
            for (int64_t n = 0; n < 4; ++n) {
                const int32_t to = order.as<int32_t>()[static_cast<size_t>(n + 1)];
                for (int64_t i = 0; to >= 0 && i < size; ++i) expected[to * size + i] = rows[n * size + i];
            }
            EXPECT_TRUE(table.host().same_bytes(expected));
        }
    }
}

TEST(CudaBatch, AdvanceMovesCursorAndStep) {
    const OnDevice state(control_with({.seed = 3, .step = 4, .cursor = 5}));
    cuda::advance(state, 64, 1, nullptr);
    const StepControl after = control_in(state.host());
    EXPECT_EQ(after.seed, 3u);
    EXPECT_EQ(after.step, 5u);
    EXPECT_EQ(after.cursor, 69u);
}

TEST(CudaBatch, AdvanceDoesNotCountASkippedStep) {
    const Guarded host = control_with({.step = 4, .cursor = 5, .nonfinite = 1});
    const OnDevice state(host);
    cuda::advance(state, 64, 1, nullptr);
    cpu().advance(host, 64, 1);
    EXPECT_TRUE(state.host().same_bytes(host));
    EXPECT_EQ(control_in(host).step, 4u);
    EXPECT_EQ(control_in(host).cursor, 69u);
}

TEST(CudaBatch, FillZero) {
    const OnDevice x(uniform({3, 5}, 1));
    cuda::fill_zero(x, nullptr);
    const Guarded zeros = x.host();
    for (const float value : zeros.floats()) EXPECT_EQ(value, 0.0f);
}

TEST(CudaConvert, BetweenFloatsAndHalves) {
    const Guarded x = uniform({5, 13}, 1);
    const OnDevice floats(x), halves({5, 13}, DType::F16), back({5, 13});
    cuda::convert(halves, floats, nullptr);
    cuda::convert(back, halves, nullptr);
    EXPECT_TRUE(back.host().same_bytes(stored_as(DType::F16, x)));
    const Guarded cpu_halves({5, 13}, DType::F16), cpu_back({5, 13});
    cpu().convert(cpu_halves, x);
    cpu().convert(cpu_back, cpu_halves);
    EXPECT_TRUE(cpu_back.same_bytes(back.host()));
}

TEST(CudaConvert, FoldConvolutionWeights) {
    const Shape shape{6, 3, 3, 5};
    const Guarded w = uniform(shape, 1), scale = uniform({6}, 2, -2, 2), folded(shape);
    cpu().fold_conv_weights(folded, w, scale);
    for_each_setting([&](DType dtype) {
        const OnDevice d_folded(shape, dtype), d_w(w), d_scale(scale);
        cuda::fold_conv_weights(d_folded, d_w, d_scale, nullptr);
        EXPECT_TRUE(close(d_folded, folded, rounding(dtype), "folded"));
    });
}

} // namespace
} // namespace scene::test
