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

TEST(Convert, ToFloatsIsExact) {
    HostArray x = uniform_f32({5, 13}, 1);
    x.dtype = DType::F16;
    x.values = stored_as(DType::F16, x.values);
    on_each_device(Convert<HostArray>{.y = empty({5, 13}), .x = x},
                   [&](const Convert<HostArray>& after) { EXPECT_EQ(after.y.values, x.values); });
}

TEST(Convert, OfManyElements) {
    const HostArray x = uniform_f32({70001}, 2);
    expect_like_reference(Convert<HostArray>{.y = empty({70001}, DType::F16), .x = x});
}

TEST(Convert, NotANumberStaysVisible) {
    const HostArray x = with_values({2}, {std::nan(""), 1});
    on_each_device(Convert<HostArray>{.y = empty({2}, DType::F16), .x = x}, [](const Convert<HostArray>& after) {
        EXPECT_TRUE(std::isnan(after.y[0]));
        EXPECT_EQ(after.y[1], 1);
    });
}

TEST(Convert, OtherShapesAndTypesAreRefused) {
    const HostArray x = uniform_f32({4, 2}, 1);
    expect_refused(Convert<HostArray>{.y = empty({8}, DType::F16), .x = x});
    expect_refused(Convert<HostArray>{.y = empty({4, 2}), .x = x});
    expect_refused(Convert<HostArray>{.y = empty({4, 2}), .x = empty({4, 2}, DType::I32)});
}

} // namespace
} // namespace scene::test
