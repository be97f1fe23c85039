// Mean and variance from the sums that a convolution with statistics writes, against two passes in double.

#include <cmath>
#include <limits>

#include "kernels/cuda/common/mean_var_from_sums.h"
#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// Of x [rows, channels].
struct Moments {
    std::vector<double> sum, square_sum, mean, variance;

    explicit Moments(const Guarded& x) {
        const int64_t rows = x.shape()[0], channels = x.shape()[1];
        for (int64_t c = 0; c < channels; ++c) {
            const auto value = [&](int64_t row) { return static_cast<double>(x[row * channels + c]); };
            double total = 0, squares = 0, deviations = 0;
            for (int64_t row = 0; row < rows; ++row) total += value(row), squares += value(row) * value(row);
            const double middle = total / static_cast<double>(rows);
            for (int64_t row = 0; row < rows; ++row) deviations += (value(row) - middle) * (value(row) - middle);
            sum.push_back(total);
            square_sum.push_back(squares);
            mean.push_back(middle);
            variance.push_back(deviations / static_cast<double>(rows));
        }
    }
};

Guarded in_float(const std::vector<double>& values) {
    return filled({static_cast<int64_t>(values.size())}, {values.begin(), values.end()});
}

/// Rounding the sums to float moves the variance by up to about this share of mean^2 + variance.
constexpr double float_rounding = 0x1p-23;

TEST(CudaMeanVarFromSums, AreThoseOfTwoPasses) {
    for (const int64_t channels : {1, 30, 300}) {
        for (const float offset : {0.0f, 3.0f, 100.0f}) {
            for (const uint64_t seed : {1, 2, 3}) {
                emulator::shuffle(seed);
                const int64_t rows = 57;
                const Guarded x = uniform({rows, channels}, 1, offset - 1, offset + 1);
                const Moments expected(x);
                const OnDevice mean({channels}), variance({channels}), sum(in_float(expected.sum)),
                    square_sum(in_float(expected.square_sum));
                cuda::mean_var_from_sums(mean, variance, sum, square_sum, rows, nullptr);
                EXPECT_TRUE(close(mean.host(), expected.mean, rounding(DType::F32), "mean"));
                const double cancelled = 2 * float_rounding * (1 + static_cast<double>(offset) * offset);
                EXPECT_TRUE(
                    close(variance.host(), expected.variance, {.absolute = cancelled, .relative = 1e-6}, "variance"));
            }
        }
    }
}

/// A negative result of the cancellation becomes 0. An overflow of half precision must stay visible in the loss.
TEST(CudaMeanVarFromSums, NeitherNegativeNorHiding) {
    const float infinity = std::numeric_limits<float>::infinity();
    const OnDevice sum(filled({3}, {30.0f, infinity, 0.0f})), square_sum(filled({3}, {89.99999f, infinity, 0.0f}));
    const OnDevice mean(Shape{3}), variance(Shape{3});
    cuda::mean_var_from_sums(mean, variance, sum, square_sum, 10, nullptr);
    const Guarded got = variance.host();
    EXPECT_EQ(mean.host()[0], 3.0f);
    EXPECT_EQ(got[0], 0.0f);
    EXPECT_TRUE(std::isnan(got[1]));
    EXPECT_EQ(got[2], 0.0f);
}

/// 100, 100 and 101: the sums are exact, the mean is not a float.
TEST(CudaMeanVarFromSums, TheMeanIsSquaredBeforeItIsRounded) {
    const OnDevice sum(filled({1}, {301.0f})), square_sum(filled({1}, {30201.0f})), mean(Shape{1}), variance(Shape{1});
    cuda::mean_var_from_sums(mean, variance, sum, square_sum, 3, nullptr);
    EXPECT_NEAR(variance.host()[0], 2.0 / 9, 1e-7);
}

} // namespace
} // namespace scene::test
