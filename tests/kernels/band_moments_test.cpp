#include "tests/support/op_test.h"

namespace scene::test {
namespace {

BandMoments<HostArray> moments_of(const HostArray& x) {
    const int64_t clips = x.shape[0], bands = x.shape[2];
    return {.mean = empty({clips, bands}), .deviation = empty({clips, bands}), .clip_mean = empty({clips}), .x = x};
}

TEST(BandMoments, EqualTheReference) {
    for (const Shape& shape : {Shape{3, 41, 5}, Shape{2, 1, 64}, Shape{1, 500, 33}, Shape{2, 9, 64}, Shape{5, 70, 1}})
        expect_like_reference(moments_of(uniform_f32(shape, 1, -90, -10)), shape.text());
}

TEST(BandMoments, KnownValues) {
    const HostArray x = with_values({1, 4, 2}, {-1, 5, 1, 5, -1, 5, 1, 5});
    on_each_device(moments_of(x), [](const BandMoments<HostArray>& after) {
        EXPECT_EQ(after.mean.values, (std::vector<double>{0, 5}));
        EXPECT_FLOAT_EQ(static_cast<float>(after.deviation[0]), std::sqrt(1 + 1e-6f));
        EXPECT_FLOAT_EQ(static_cast<float>(after.deviation[1]), 1e-3f) << "of a constant band";
        EXPECT_EQ(after.clip_mean[0], 2.5);
    });
}

/// The deviation is far below the mean: E[x^2] - E[x]^2 in float would lose it.
TEST(BandMoments, OfNearlyConstantBands) {
    HostArray x = uniform_f32({2, 37, 7}, 3, -0.01, 0.01);
    for (double& value : x.values) value -= 64;
    expect_like_reference(moments_of(x));
}

TEST(BandMoments, SameBits) { expect_same_bits(moments_of(uniform_f32({9, 70, 33}, 3, -80, 0))); }

TEST(BandMoments, WrongShapesAreRefused) {
    BandMoments<HostArray> op = moments_of(uniform_f32({2, 8, 4}, 1));
    op.clip_mean = empty({2, 4});
    expect_refused(op);
    op = moments_of(uniform_f32({2, 8, 4}, 1));
    op.deviation = empty({4, 2});
    expect_refused(op);
    op = moments_of(uniform_f32({2, 8, 4}, 1));
    op.x = uniform_f32({2, 8, 2, 2}, 1);
    expect_refused(op);
}

} // namespace
} // namespace scene::test
