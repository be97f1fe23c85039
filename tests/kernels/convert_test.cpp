#include "tests/support/op_test.h"

namespace scene::test {
namespace {

TEST(Convert, ToHalvesRoundsToTheNearest) {
    HostArray x = uniform_f32({5, 13}, 1, -70000, 70000);
    // Ties, subnormal halves, the largest half, what rounds to it and what overflows.
    const double special[] = {0,    -0.0,      1 + 0x1p-11, 1 + 0x3p-11, 0x1p-24,  0x1p-25, 0x3p-25,  6e-8,
                              -1e5, 2049.0001, 65504,       65519,       65520.0f, 1e-30,   INFINITY, -INFINITY};
    std::copy(std::begin(special), std::end(special), x.values.begin());
    on_each_device(Convert<HostArray>{.y = empty({5, 13}, DType::F16), .x = x}, [&](const Convert<HostArray>& after) {
        EXPECT_EQ(after.y.values, stored_as(DType::F16, x.values));
    });
}

/// Known answers, so that they do not depend on the host's rounding.
TEST(Convert, ToBFloat16RoundsToTheNearest) {
    const std::vector<std::pair<double, double>> cases = {{0, 0},
                                                          {1, 1},
                                                          {1 + 0x1p-8, 1},             // a tie, to even
                                                          {1 + 0x3p-8, 1 + 0x1p-6},    // a tie, to even
                                                          {1 + 0x1.02p-8, 1 + 0x1p-7}, // a little more than a tie
                                                          {-1 - 0x1p-8, -1},
                                                          {65519, 65536},
                                                          {1e-30, 0x1.44p-100},
                                                          {0x1p-133, 0x1p-133}, // the smallest subnormal
                                                          {0x1p-134, 0},
                                                          {0x1.FEFFFEp127, 0x1.FEp127}, // to the largest
                                                          {0x1.FFp127, INFINITY},
                                                          {-INFINITY, -INFINITY}};
    HostArray x = empty({static_cast<int64_t>(cases.size())});
    x.given = true;
    std::vector<double> expected;
    for (size_t i = 0; i < cases.size(); ++i) {
        x.values[i] = cases[i].first;
        expected.push_back(cases[i].second);
    }
    on_each_device(Convert<HostArray>{.y = empty(x.shape, DType::BF16), .x = x},
                   [&](const Convert<HostArray>& after) { EXPECT_EQ(after.y.values, expected); });
}

TEST(Convert, ToFloatsIsExact) {
    for (const DType type : {DType::F16, DType::BF16}) {
        HostArray x = uniform_f32({5, 13}, 1);
        x.dtype = type;
        x.values = stored_as(type, x.values);
        on_each_device(Convert<HostArray>{.y = empty({5, 13}), .x = x},
                       [&](const Convert<HostArray>& after) { EXPECT_EQ(after.y.values, x.values); });
    }
}

TEST(Convert, OfManyElements) {
    const HostArray x = uniform_f32({70001}, 2);
    for (const DType type : {DType::F16, DType::BF16})
        expect_like_reference(Convert<HostArray>{.y = empty({70001}, type), .x = x});
}

TEST(Convert, NotANumberStaysVisible) {
    const HostArray x = with_values({2}, {std::nan(""), 1});
    for (const DType type : {DType::F16, DType::BF16})
        on_each_device(Convert<HostArray>{.y = empty({2}, type), .x = x}, [](const Convert<HostArray>& after) {
            EXPECT_TRUE(std::isnan(after.y[0]));
            EXPECT_EQ(after.y[1], 1);
        });
}

TEST(Convert, OtherShapesAndTypesAreRefused) {
    const HostArray x = uniform_f32({4, 2}, 1);
    expect_refused(Convert<HostArray>{.y = empty({8}, DType::F16), .x = x});
    expect_refused(Convert<HostArray>{.y = empty({8}, DType::BF16), .x = x});
    expect_refused(Convert<HostArray>{.y = empty({4, 2}), .x = x});
    expect_refused(Convert<HostArray>{.y = empty({4, 2}, DType::BF16), .x = empty({4, 2}, DType::F16)});
    expect_refused(Convert<HostArray>{.y = empty({4, 2}), .x = empty({4, 2}, DType::I32)});
}

} // namespace
} // namespace scene::test
