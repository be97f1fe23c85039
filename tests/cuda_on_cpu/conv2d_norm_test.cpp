#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// The first convolutions of the FCNN, without and with deltas, at odd extents; channels that are no whole quads; lines
/// that no window sees; a single window.
const std::vector<Conv2dShape> shapes = {
    {.batch = 2,
     .height = 13,
     .width = 12,
     .in_channels = 1,
     .out_channels = 144,
     .kernel = 5,
     .stride = 2,
     .padding = 2},
    {.batch = 2,
     .height = 11,
     .width = 9,
     .in_channels = 3,
     .out_channels = 72,
     .kernel = 5,
     .stride = 2,
     .padding = 2},
    {.batch = 3, .height = 7, .width = 5, .in_channels = 2, .out_channels = 10, .kernel = 3, .stride = 1, .padding = 1},
    {.batch = 2, .height = 8, .width = 6, .in_channels = 1, .out_channels = 4, .kernel = 3, .stride = 1, .padding = 0},
    {.batch = 2, .height = 8, .width = 7, .in_channels = 1, .out_channels = 3, .kernel = 1, .stride = 2, .padding = 0},
    {.batch = 1, .height = 1, .width = 1, .in_channels = 1, .out_channels = 1, .kernel = 1, .stride = 1, .padding = 0},
};

double windows_of(const Conv2dShape& shape) {
    return static_cast<double>(shape.batch * shape.out_height() * shape.out_width());
}

Tolerance sums_of(double terms) { return rounding(DType::F32, terms); }

void expect_statistics(const Conv2dShape& shape, DType dtype) {
    const int64_t channels = shape.out_channels, taps = shape.kernel * shape.kernel * shape.in_channels;
    const Guarded x = stored_as(dtype, uniform(shape.x(), 1, -1.0f, 2.0f)), w = uniform(shape.w(), 2);
    const Guarded mean({channels}), variance({channels}), moments({1 + taps, taps});
    cpu().conv2d_norm_statistics(mean, variance, moments, x, w, {}, shape);
    const OnDevice d_mean({channels}), d_variance({channels}), d_moments({1 + taps, taps}), d_x(x, dtype), d_w(w);
    const OnDevice scratch = scratch_on_device(cuda::conv2d_norm_statistics_scratch_bytes(shape));
    cuda::conv2d_norm_statistics(d_mean, d_variance, d_moments, d_x, d_w, scratch, shape, nullptr);
    EXPECT_TRUE(close(d_moments, moments, sums_of(windows_of(shape)), "moments"));
    EXPECT_TRUE(close(d_mean, mean, sums_of(windows_of(shape)), "mean"));
    EXPECT_TRUE(close(d_variance, variance, sums_of(windows_of(shape)), "variance"));
}

/// From statistics and outputs that need not belong to a convolution: the op does not know better.
void expect_backward(const Conv2dShape& shape, DType dtype, bool with_dx) {
    const int64_t channels = shape.out_channels, taps = shape.kernel * shape.kernel * shape.in_channels;
    const Guarded x = stored_as(dtype, uniform(shape.x(), 1)), w = uniform(shape.w(), 2);
    const Guarded da = stored_as(dtype, uniform(shape.y(), 3)), a = stored_as(dtype, uniform(shape.y(), 4));
    const Guarded mean = uniform({channels}, 5), inv_std = uniform({channels}, 6, 0.5f, 2.0f);
    const Guarded scale = uniform({channels}, 7, -2.0f, 2.0f);
    const Guarded variance({channels}), of_windows({channels}), moments({1 + taps, taps});
    cpu().conv2d_norm_statistics(of_windows, variance, moments, x, w, {}, shape);

    const Guarded dx(shape.x()), dw(shape.w()), dgamma({channels}), dbeta({channels});
    cpu().conv2d_norm_backward(with_dx ? Tensor(dx) : Tensor(), dw, dgamma, dbeta, da, a, x, w, moments, mean, inv_std,
                               scale, {}, shape);
    const OnDevice d_dx(shape.x(), dtype), d_dw(shape.w()), d_dgamma({channels}), d_dbeta({channels});
    const OnDevice d_da(da, dtype), d_a(a, dtype), d_x(x, dtype), d_w(w), d_moments(moments), d_mean(mean);
    const OnDevice d_inv_std(inv_std), d_scale(scale);
    const OnDevice scratch = scratch_on_device(cuda::conv2d_norm_backward_scratch_bytes(shape));
    cuda::conv2d_norm_backward(with_dx ? Tensor(d_dx) : Tensor(), d_dw, d_dgamma, d_dbeta, d_da, d_a, d_x, d_w,
                               d_moments, d_mean, d_inv_std, d_scale, scratch, shape, nullptr);
    const double terms = windows_of(shape);
    EXPECT_TRUE(close(d_dbeta, dbeta, sums_of(terms), "dbeta"));
    EXPECT_TRUE(close(d_dgamma, dgamma, sums_of(terms * static_cast<double>(taps)), "dgamma"));
    EXPECT_TRUE(close(d_dw, dw, sums_of(terms * static_cast<double>(taps)), "dw"));
    if (!with_dx) return;
    EXPECT_TRUE(close(d_dx, dx, rounding(dtype, static_cast<double>(taps * channels)), "dx"));
}

TEST(CudaConvNorm, StatisticsAndBackward) {
    for (const Conv2dShape& shape : shapes) {
        ASSERT_TRUE(cuda::conv2d_norm_suits(shape));
        SCOPED_TRACE(shape.x().text() + " * " + shape.w().text());
        for_each_setting([&](DType dtype) {
            expect_statistics(shape, dtype);
            expect_backward(shape, dtype, true);
        });
        expect_backward(shape, DType::F32, false);
    }
}

/// More strips and lines than blocks take at once, and clips that are not cut.
TEST(CudaConvNorm, MoreWorkThanBlocks) {
    emulator::shuffle(5);
    Conv2dShape shape{.batch = 8,
                      .height = 300,
                      .width = 4,
                      .in_channels = 1,
                      .out_channels = 8,
                      .kernel = 3,
                      .stride = 1,
                      .padding = 1};
    expect_statistics(shape, DType::F32);
    expect_backward(shape, DType::F32, true);
    shape.batch = 530, shape.height = 3, shape.width = 2;
    expect_statistics(shape, DType::F32);
    expect_backward(shape, DType::F32, true);
}

/// An overflow of half precision must reach the loss and not be hidden.
TEST(CudaConvNorm, AnInputThatIsNoNumberStaysNone) {
    const Conv2dShape shape{.batch = 1, .height = 4, .width = 4, .in_channels = 1, .out_channels = 4};
    Guarded x = uniform(shape.x(), 1);
    x[5] = std::numeric_limits<float>::quiet_NaN();
    const OnDevice mean({4}), variance({4}), moments({10, 9}), d_x(x), w(uniform(shape.w(), 2));
    const OnDevice scratch = scratch_on_device(cuda::conv2d_norm_statistics_scratch_bytes(shape));
    cuda::conv2d_norm_statistics(mean, variance, moments, d_x, w, scratch, shape, nullptr);
    const Guarded on_host = variance.host();
    for (const float value : on_host.floats()) EXPECT_TRUE(std::isnan(value));
}

TEST(CudaConvNorm, SuitsOnlyThinConvolutions) {
    EXPECT_FALSE(cuda::conv2d_norm_suits({.batch = 1, .height = 8, .width = 8, .in_channels = 16, .out_channels = 16}));
    EXPECT_FALSE(cuda::conv2d_norm_suits(
        {.batch = 1, .height = 8, .width = 8, .in_channels = 1, .out_channels = 16, .kernel = 3, .padding = 3}));
    EXPECT_TRUE(cuda::conv2d_norm_suits({.batch = 256,
                                         .height = 500,
                                         .width = 64,
                                         .in_channels = 1,
                                         .out_channels = 144,
                                         .kernel = 5,
                                         .stride = 2,
                                         .padding = 2}));
}

} // namespace
} // namespace scene::test
