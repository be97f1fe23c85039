// conv2d_data_grad_norm and batch_norm_apply_gradient against the ops that they stand for.

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

TEST(NormGradient, IsTheDataGradientWithTheBatchNormBehindIt) {
    for (const Conv2dShape& shape :
         {Conv2dShape{.batch = 2, .height = 7, .width = 5, .in_channels = 24, .out_channels = 16},
          Conv2dShape{
              .batch = 1, .height = 6, .width = 9, .in_channels = 5, .out_channels = 7, .kernel = 1, .padding = 0}}) {
        SCOPED_TRACE(shape.x().text() + " * " + shape.w().text());
        Backend& b = cpu();
        const int64_t channels = shape.in_channels;
        const Guarded x = uniform(shape.x(), 1, -1, 2), w = uniform(shape.w(), 2), dy = uniform(shape.y(), 3);
        const Guarded gamma = uniform({channels}, 4, -2, 2), beta = uniform({channels}, 5), control = control_with({});
        const Guarded mean({channels}), variance({channels}), scale({channels}), shift({channels}), inv_std({channels});
        const Guarded running_mean = uniform({channels}, 6), running_variance = uniform({channels}, 7, 0.5f, 1);
        b.batch_norm_statistics(mean, variance, x);
        b.batch_norm_finalize(scale, shift, inv_std, running_mean, running_variance, mean, variance, gamma, beta,
                              x.size() / channels, 0.1f, 1e-5f);
        const auto bytes = static_cast<int64_t>(b.conv2d_scratch_bytes(shape, ConvPass::DataGrad)) + 1;
        const auto norm_bytes = static_cast<int64_t>(b.batch_norm_scratch_bytes(shape.x())) + 1;
        const Guarded scratch({bytes}, DType::U8), norm_scratch({norm_bytes}, DType::U8);

        const Guarded gradient(shape.x()), dx(shape.x()), dgamma({channels}), dbeta({channels});
        b.conv2d_data_grad(gradient, dy, w, scratch, shape);
        b.batch_norm_backward(dx, dgamma, dbeta, gradient, x, mean, inv_std, scale, shift, norm_scratch, {}, control);

        const Guarded dz(shape.x()), got_dgamma({channels}), got_dbeta({channels}), in_place(x);
        b.conv2d_data_grad_norm(dz, got_dgamma, got_dbeta, dy, w, x, mean, inv_std, gamma, beta, scratch, shape);
        b.batch_norm_apply_gradient(in_place, dz, in_place, mean, inv_std, scale, got_dgamma, got_dbeta);
        EXPECT_TRUE(all_close(got_dgamma.floats(), dgamma.floats(), roundings(100), "dgamma"));
        EXPECT_TRUE(all_close(got_dbeta.floats(), dbeta.floats(), roundings(100), "dbeta"));
        EXPECT_TRUE(all_close(in_place.floats(), dx.floats(), roundings(100), "dx"));
    }
}

} // namespace
} // namespace scene::test
