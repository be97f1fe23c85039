// conv2d_norm_statistics and conv2d_norm_backward against the ops that they stand for: a convolution, its batch norm's
// statistics, and the backward passes of both.

#include "tests/support/run_with_scratch.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

struct Case {
    Conv2dShape shape;
    double offset; ///< of the input's mean, in its standard deviations
};

const std::vector<Case> cases = {
    {{.batch = 2,
      .height = 13,
      .width = 9,
      .in_channels = 1,
      .out_channels = 24,
      .kernel = 5,
      .stride = 2,
      .padding = 2},
     0},
    {{.batch = 3,
      .height = 8,
      .width = 7,
      .in_channels = 3,
      .out_channels = 10,
      .kernel = 3,
      .stride = 1,
      .padding = 1},
     3},
    {{.batch = 2, .height = 9, .width = 8, .in_channels = 2, .out_channels = 5, .kernel = 1, .stride = 2, .padding = 0},
     0},
};

Guarded scratch_of(size_t bytes) { return Guarded({static_cast<int64_t>(std::max<size_t>(bytes, 1))}, DType::U8); }

TEST(Conv2dNorm, IsTheConvolutionWithItsBatchNorm) {
    for (const auto& [shape, offset] : cases) {
        SCOPED_TRACE(shape.x().text() + " * " + shape.w().text());
        Backend& b = cpu();
        const int64_t channels = shape.out_channels, taps = shape.kernel * shape.kernel * shape.in_channels;
        const auto middle = static_cast<float>(offset / std::sqrt(3.0));
        const Guarded x = uniform(shape.x(), 1, middle - 1, middle + 1), w = uniform(shape.w(), 2);
        const Guarded gamma = uniform({channels}, 3, 0.5f, 2), beta = uniform({channels}, 4),
                      da = uniform(shape.y(), 5);
        const Guarded control = control_with({});

        const Guarded y(shape.y()), a(shape.y()), mean({channels}), variance({channels});
        const Guarded scale({channels}), shift({channels}), inv_std({channels});
        const Guarded running_mean = uniform({channels}, 6), running_variance = uniform({channels}, 7, 0.5f, 1);
        run_with_scratch(b, Conv2dForward<Tensor>{.y = Tensor(y), .x = Tensor(x), .w = Tensor(w), .shape = shape});
        b.batch_norm_statistics(mean, variance, y);
        b.batch_norm_finalize(scale, shift, inv_std, running_mean, running_variance, mean, variance, gamma, beta,
                              shape.y().elements() / channels, 0.1f, 1e-5f);
        b.batch_norm_forward(a, y, scale, shift, {}, control);

        const Guarded got_mean({channels}), got_variance({channels}), moments({1 + taps, taps});
        b.conv2d_norm_statistics(got_mean, got_variance, moments, x, w, {}, shape);
        EXPECT_TRUE(all_close(got_mean.floats(), mean.floats(), roundings(40), "mean"));
        EXPECT_TRUE(all_close(got_variance.floats(), variance.floats(), roundings(40), "variance"));

        const Guarded dy(shape.y()), dgamma({channels}), dbeta({channels}), dw(shape.w()), dx(shape.x());
        b.batch_norm_backward(dy, dgamma, dbeta, da, y, mean, inv_std, scale, shift,
                              scratch_of(b.batch_norm_scratch_bytes(shape.y())), {}, control);
        run_with_scratch(b,
                         Conv2dWeightGrad<Tensor>{.dw = Tensor(dw), .dy = Tensor(dy), .x = Tensor(x), .shape = shape});
        run_with_scratch(b, Conv2dDataGrad<Tensor>{.dx = Tensor(dx), .dy = Tensor(dy), .w = Tensor(w), .shape = shape});

        const Guarded got_dgamma({channels}), got_dbeta({channels}), got_dw(shape.w()), got_dx(shape.x());
        b.conv2d_norm_backward(got_dx, got_dw, got_dgamma, got_dbeta, da, a, x, w, moments, mean, inv_std, scale, {},
                               shape);
        EXPECT_TRUE(all_close(got_dgamma.floats(), dgamma.floats(), roundings(100), "dgamma"));
        EXPECT_TRUE(all_close(got_dbeta.floats(), dbeta.floats(), roundings(100), "dbeta"));
        EXPECT_TRUE(all_close(got_dw.floats(), dw.floats(), roundings(200), "dw"));
        EXPECT_TRUE(all_close(got_dx.floats(), dx.floats(), roundings(200), "dx"));

        const Guarded alone(shape.w());
        b.conv2d_norm_backward({}, alone, got_dgamma, got_dbeta, da, a, x, w, moments, mean, inv_std, scale, {}, shape);
        EXPECT_TRUE(alone.same_bytes(got_dw)) << "dw depends on whether dx is wanted";
    }
}

} // namespace
} // namespace scene::test
