#include "tests/kernels/batch_norm_cases.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

// ---- statistics -----------------------------------------------------------------------------------------------------

TEST(BatchNormStatistics, EqualTheReference) {
    for (const Shape& shape : std::vector<Shape>{{5, 1}, {17, 9}, {129, 18}, {1000, 40}, {2, 3, 2, 259}, {3, 7, 5, 16}})
        expect_like_reference(statistics_of(uniform_activation(shape, 1, -1, 3)), shape.text(), norm_allowance);
}

/// More chunks than are merged in parallel; the last one is not full.
TEST(BatchNormStatistics, OfManyRows) {
    for (const Shape& shape : std::vector<Shape>{{40001, 1}, {301, 259}})
        expect_like_reference(statistics_of(uniform_activation(shape, 1, -1, 3)), shape.text(), norm_allowance);
}

TEST(BatchNormStatistics, OfWholeNumbers) {
    expect_like_reference(statistics_of(integer_activation({512, 7}, 2, 0, 16)));
}

/// A mean far from zero, and rows far from the first ones: E[x^2] - E[x]^2 in float would lose every digit.
TEST(BatchNormStatistics, OfValuesFarFromZero) {
    HostArray high = uniform_f32({3000, 20}, 3, 9999, 10001), jump = uniform_activation({4, 50, 11, 8}, 4, 999, 1001);
    for (int64_t i = 0; i < 8 * 40; ++i) jump[i] = -80;
    for (const HostArray& x : {high, jump}) {
        for_each_setting(x.activation, [&](TestDevice& device, DType type) {
            const BatchNormStatistics<HostArray> given = rounded(statistics_of(x), type);
            const BatchNormStatistics<HostArray> expected = run_reference(given), actual = run_on(device, type, given);
            EXPECT_TRUE(near_all(actual.mean, expected.mean.values, norm_allowance.sum_roundings * 0x1p-24));
            EXPECT_TRUE(near_all(actual.variance, expected.variance.values, 1e-4));
        });
    }
}

TEST(BatchNormStatistics, OfEqualValuesHaveNoVariance) {
    HostArray x = uniform_activation({6, 2}, 1);
    for (int64_t i = 0; i < x.size(); ++i) x[i] = i % 2 == 0 ? 0.1 : 3;
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const BatchNormStatistics<HostArray> given = rounded(statistics_of(x), type),
                                             actual = run_on(device, type, given);
        EXPECT_EQ(actual.mean.values, std::vector<double>(given.x.values.begin(), given.x.values.begin() + 2));
        EXPECT_EQ(actual.variance.values, std::vector<double>(2, 0));
    });
}

TEST(BatchNormStatistics, PassANanOn) {
    HostArray x = uniform_activation({300, 5}, 4);
    x[200 * 5 + 3] = std::nan("");
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const BatchNormStatistics<HostArray> actual = run_on(device, type, rounded(statistics_of(x), type));
        for (int64_t c = 0; c < 5; ++c) {
            EXPECT_EQ(std::isnan(actual.mean[c]), c == 3);
            EXPECT_EQ(std::isnan(actual.variance[c]), c == 3);
        }
    });
}

// ---- scale and shift ------------------------------------------------------------------------------------------------

TEST(BatchNormFinalize, EqualsTheReference) {
    for (const Shape& shape : std::vector<Shape>{{2, 1}, {21, 9}, {37, 300}})
        expect_like_reference(finalize_of(uniform_f32(shape, 1, -1, 3)), shape.text());
}

TEST(BatchNormFinalize, OfOneRowIsRefused) {
    BatchNormFinalize<HostArray> finalize = finalize_of(uniform_f32({21, 9}, 1));
    finalize.rows = 1;
    expect_refused(finalize);
}

TEST(BatchNormFold, EqualsTheReference) {
    for (const int64_t channels : {1, 18, 300})
        expect_like_reference(BatchNormFold<HostArray>{.scale = empty({channels}),
                                                       .shift = empty({channels}),
                                                       .running_mean = uniform_f32({channels}, 1),
                                                       .running_variance = uniform_f32({channels}, 2, 0, 2),
                                                       .gamma = uniform_f32({channels}, 3),
                                                       .beta = uniform_f32({channels}, 4),
                                                       .epsilon = 1e-3f});
}

// ---- forward --------------------------------------------------------------------------------------------------------

TEST(BatchNormForward, EqualsTheReference) {
    expect_like_reference(forward_of({{1, 1, 1, 1}, {}}));
    for (const NormCase& c : norm_cases(norm_shapes)) expect_like_reference(forward_of(c), c.text());
}

TEST(BatchNormForward, OfRowsWithoutAMap) {
    BatchNormForward<HostArray> forward = forward_of({{1, 1, 50, 24}, {}});
    forward.x.shape = forward.y.shape = {50, 24};
    expect_like_reference(forward);
}

TEST(BatchNormForward, DropsExactlyTheElementsOfTheMask) {
    const Dropout dropout{.p = 0.4f, .stream = 2};
    BatchNormForward<HostArray> forward =
        forward_of({{3, 5, 3, 9}, {.relu = false, .dropout = dropout, .max_pool = false}});
    forward.x = uniform_activation({3, 5, 3, 9}, 1, 1, 2);
    forward.scale = uniform_f32({9}, 2, 1, 2);
    forward.shift = uniform_f32({9}, 3, 1, 2);
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const HostArray y = run_on(device, type, rounded(forward, type)).y;
        for (int64_t i = 0; i < y.size(); ++i)
            EXPECT_EQ(y[i] == 0, random_word(11, 2, 4, static_cast<uint64_t>(i)) < dropout_threshold(dropout.p)) << i;
    });
}

TEST(BatchNormForward, InPlaceIsTheSame) {
    for (const NormCase& c : norm_cases({{2, 5, 5, 40}})) {
        if (c.epilogue.max_pool) continue;
        using Forward = BatchNormForward<HostArray>;
        expect_same_in_place(forward_of(c), &Forward::y, &Forward::x, c.text());
    }
}

TEST(BatchNormForward, PassesANanOn) {
    for (const bool max_pool : {false, true}) {
        BatchNormForward<HostArray> forward =
            forward_of({{1, 2, 2, 3}, {.relu = true, .dropout = {}, .max_pool = max_pool}});
        forward.scale[1] = std::nan("");
        for_each_setting(true, [&](TestDevice& device, DType type) {
            const HostArray y = run_on(device, type, rounded(forward, type)).y;
            for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i % 3 == 1) << i;
        });
    }
}

/// Wherever in a pooling window it is.
TEST(BatchNormForward, PoolingPassesANanOn) {
    for (int64_t position = 0; position < 4; ++position) {
        BatchNormForward<HostArray> forward =
            forward_of({{1, 2, 2, 3}, {.relu = true, .dropout = {}, .max_pool = true}});
        forward.x[3 * position + 1] = std::nan("");
        for_each_setting(true, [&](TestDevice& device, DType type) {
            const HostArray y = run_on(device, type, rounded(forward, type)).y;
            for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(std::isnan(y[c]), c == 1) << c << " of " << position;
        });
    }
}

// ---- all ------------------------------------------------------------------------------------------------------------

TEST(BatchNorm, SameBits) {
    expect_same_bits(statistics_of(uniform_activation({1500, 72}, 1)));
    for (const NormCase& c : norm_cases({{3, 31, 9, 72}}))
        if (c.epilogue.relu) expect_same_bits(forward_of(c));
}

TEST(BatchNorm, WrongShapesAndTypesAreRefused) {
    const NormCase plain{{2, 4, 4, 6}, {}}, pooled{{2, 4, 4, 6}, {.relu = true, .dropout = {}, .max_pool = true}};
    const auto refused = [](auto record, auto change) {
        change(record);
        expect_refused(record);
    };
    refused(forward_of(plain), [](auto& op) { op.scale = uniform_f32({5}, 1); });
    refused(forward_of(plain), [](auto& op) { op.shift = indices_of({6}, {1, 2, 3, 4, 5, 6}); });
    refused(forward_of(plain), [](auto& op) { op.y = empty(op.y.shape, DType::I32); });
    refused(forward_of(plain), [](auto& op) { op.y = empty_activation({2, 2, 2, 6}); });
    refused(forward_of(plain), [](auto& op) { op.y = HostArray(); });
    refused(forward_of(pooled), [](auto& op) { op.y = empty_activation({2, 4, 4, 6}); });
    refused(forward_of(pooled), [](auto& op) { op.epilogue.dropout = {.p = 0.1f, .stream = 1}; });
    refused(forward_of({{2, 1, 4, 6}, {}}), [](auto& op) { op.epilogue.max_pool = true; });
    refused(finalize_of(uniform_f32({8, 6}, 1)), [](auto& op) { op.running_variance = uniform_f32({5}, 1); });
    refused(BatchNormFold<HostArray>{.scale = empty({6}),
                                     .shift = empty({6}),
                                     .running_mean = uniform_f32({6}, 1),
                                     .running_variance = uniform_f32({6}, 2, 0, 2),
                                     .gamma = uniform_f32({6}, 3),
                                     .beta = uniform_f32({6}, 4),
                                     .epsilon = 1e-5f},
            [](auto& op) { op.beta = uniform_f32({5}, 1); });
}

TEST(BatchNorm, StatisticsWithoutScratchAreRefused) {
    expect_scratch_refused(statistics_of(uniform_activation({100, 6}, 1)));
}

TEST(BatchNorm, TheMessageSaysWhatWasExpected) {
    BatchNormStatistics<HostArray> statistics = statistics_of(uniform_activation({8, 6}, 1));
    statistics.variance = empty({5});
    for_each_setting(true, [&](TestDevice& device, DType type) {
        try {
            run_on(device, type, statistics);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const std::logic_error& error) {
            EXPECT_NE(std::string(error.what()).find("variance is F32 [5], expected F32 [6]"), std::string::npos)
                << error.what();
        }
    });
}

} // namespace
} // namespace scene::test
