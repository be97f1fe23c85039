// conv2d_data_grad_norm and batch_norm_apply_gradient against the ops that they stand for.

#include "tests/kernels/batch_norm_of_batch.h"

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
        const BatchNorm norm(x, gamma, beta);
        const auto bytes = static_cast<int64_t>(b.conv2d_scratch_bytes(shape, ConvPass::DataGrad)) + 1;
        const Guarded scratch({bytes}, DType::U8);

        const Guarded gradient(shape.x()), dx(shape.x()), dgamma({channels}), dbeta({channels});
        b.conv2d_data_grad(gradient, dy, w, scratch, shape);
        norm.backward(dx, dgamma, dbeta, gradient, x, control);

        const Guarded dz(shape.x()), got_dgamma({channels}), got_dbeta({channels}), in_place(x);
        b.conv2d_data_grad_norm(dz, got_dgamma, got_dbeta, dy, w, x, norm.mean, norm.inv_std, gamma, beta, scratch,
                                shape);
        b.run(BatchNormApplyGradient<Tensor>{.dx = Tensor(in_place),
                                             .dz = Tensor(dz),
                                             .x = Tensor(in_place),
                                             .mean = Tensor(norm.mean),
                                             .inv_std = Tensor(norm.inv_std),
                                             .scale = Tensor(norm.scale),
                                             .dgamma = Tensor(got_dgamma),
                                             .dbeta = Tensor(got_dbeta)});
        EXPECT_TRUE(all_close(got_dgamma.floats(), dgamma.floats(), roundings(100), "dgamma"));
        EXPECT_TRUE(all_close(got_dbeta.floats(), dbeta.floats(), roundings(100), "dbeta"));
        EXPECT_TRUE(all_close(in_place.floats(), dx.floats(), roundings(100), "dx"));
    }
}

} // namespace
} // namespace scene::test
