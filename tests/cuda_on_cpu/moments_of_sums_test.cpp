// Mean and variance from the sums that a fused convolution gives, against the CPU's two passes.

#include <cmath>
#include <limits>

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

struct Sums {
    Guarded sum, square_sum;

    explicit Sums(const Guarded& x) : sum({x.shape()[1]}), square_sum({x.shape()[1]}) {
        const int64_t channels = x.shape()[1];
        for (int64_t c = 0; c < channels; ++c) {
            double total = 0, squares = 0;
            for (int64_t row = 0; row < x.shape()[0]; ++row) {
                const auto value = static_cast<double>(x[row * channels + c]);
                total += value;
                squares += value * value;
            }
            sum[c] = static_cast<float>(total);
            square_sum[c] = static_cast<float>(squares);
        }
    }
};

/// The float sums alone cost the variance this much of mean^2 + variance, times the half of a rounding.
constexpr double float_rounding = 0x1p-23;

TEST(CudaMomentsOfSums, AreThoseOfTwoPasses) {
    for (const int64_t channels : {1, 30, 300}) {
        for (const float offset : {0.0f, 3.0f, 100.0f}) {
            for (const uint64_t seed : {1, 2, 3}) {
                emulator::shuffle(seed);
                const int64_t rows = 57;
                const Guarded x = uniform({rows, channels}, 1, offset - 1, offset + 1);
                const Guarded expected_mean({channels}), expected_variance({channels});
                cpu().batch_norm_statistics(expected_mean, expected_variance, x);
                const Sums sums(x);
                const OnDevice mean({channels}), variance({channels}), sum(sums.sum), square_sum(sums.square_sum);
                cuda::moments_of_sums(mean, variance, sum, square_sum, rows, nullptr);
                EXPECT_TRUE(close(mean, expected_mean, rounding(DType::F32), "mean"));
                const double cancelled = 2 * float_rounding * (1 + static_cast<double>(offset) * offset);
                EXPECT_TRUE(close(variance, expected_variance, {.absolute = cancelled, .relative = 1e-6}, "variance"));
            }
        }
    }
}

/// What cancels to less than nothing is 0; an overflow of half precision must reach the loss and not be hidden.
TEST(CudaMomentsOfSums, NeitherNegativeNorHiding) {
    const float infinity = std::numeric_limits<float>::infinity();
    const OnDevice sum(filled({3}, {30.0f, infinity, 0.0f})), square_sum(filled({3}, {89.99999f, infinity, 0.0f}));
    const OnDevice mean(Shape{3}), variance(Shape{3});
    cuda::moments_of_sums(mean, variance, sum, square_sum, 10, nullptr);
    const Guarded got = variance.host();
    EXPECT_EQ(mean.host()[0], 3.0f);
    EXPECT_EQ(got[0], 0.0f);
    EXPECT_TRUE(std::isnan(got[1]));
    EXPECT_EQ(got[2], 0.0f);
}

/// 100, 100 and 101: the sums are exact, the mean is not a float.
TEST(CudaMomentsOfSums, TheMeanIsSquaredBeforeItIsRounded) {
    const OnDevice sum(filled({1}, {301.0f})), square_sum(filled({1}, {30201.0f})), mean(Shape{1}), variance(Shape{1});
    cuda::moments_of_sums(mean, variance, sum, square_sum, 3, nullptr);
    EXPECT_NEAR(variance.host()[0], 2.0 / 9, 1e-7);
}

} // namespace
} // namespace scene::test
