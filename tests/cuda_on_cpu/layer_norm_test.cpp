#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

const std::vector<Shape> shapes = {{2, 16, 128}, {3, 5, 10}, {1, 1, 300}, {37, 12}, {1, 9, 7}};
const std::vector<Dropout> dropouts = {{}, {.p = 0.25f, .stream = 2}};
const StepControl control{.seed = 8, .step = 3};

TEST(CudaLayerNorm, ForwardAndBackward) {
    for (const Shape& shape : shapes) {
        const int64_t features = shape[shape.rank() - 1], rows = shape.elements() / features;
        const Shape per_feature{features};
        for (const Dropout& dropout : dropouts) {
            for_each_setting([&](DType dtype) {
                const Guarded x = stored_as(dtype, uniform(shape, 1, -1, 3)),
                              branch = stored_as(dtype, uniform(shape, 2));
                const Guarded dy = stored_as(dtype, uniform(shape, 3)), state = control_with(control);
                const Guarded gamma = uniform(per_feature, 4, 0.5f, 2), beta = uniform(per_feature, 5);
                const Guarded y(shape), moments({rows, 2}), dx(shape), dbranch(shape), dgamma(per_feature),
                    dbeta(per_feature);
                cpu().layer_norm_forward(y, moments, x, branch, gamma, beta, 1e-5f, dropout, state);
                cpu().layer_norm_backward(dx, dbranch, dgamma, dbeta, dy, moments, x, branch, gamma, dropout, state);

                const OnDevice d_x(x, dtype), d_branch(branch, dtype), d_dy(dy, dtype), d_gamma(gamma), d_beta(beta);
                const OnDevice d_y(shape, dtype), d_moments({rows, 2}), d_dx(shape, dtype), d_dbranch(shape, dtype);
                const OnDevice d_dgamma(per_feature), d_dbeta(per_feature), d_state(state);
                const OnDevice scratch = scratch_on_device(cuda::layer_norm_backward_scratch_bytes(shape));
                cuda::layer_norm_forward(d_y, d_moments, d_x, d_branch, d_gamma, d_beta, 1e-5f, dropout, d_state,
                                         nullptr);
                cuda::layer_norm_backward(d_dx, d_dbranch, d_dgamma, d_dbeta, d_dy, d_moments, d_x, d_branch, d_gamma,
                                          dropout, d_state, scratch, nullptr);
                const std::string label = shape.text();
                const double terms = static_cast<double>(features);
                EXPECT_TRUE(close(d_y, y, rounding(dtype, terms), label + " y"));
                EXPECT_TRUE(close(d_moments, moments, rounding(DType::F32, terms), label + " moments"));
                EXPECT_TRUE(close(d_dgamma, dgamma, rounding(DType::F32, static_cast<double>(rows) * terms),
                                  label + " dgamma"));
                EXPECT_TRUE(close(d_dbeta, dbeta, rounding(DType::F32, static_cast<double>(rows)), label + " dbeta"));
                EXPECT_TRUE(close(d_dx, dx, rounding(dtype, terms), label + " dx"));
                EXPECT_TRUE(close(d_dbranch, dbranch, rounding(dtype, terms), label + " dbranch"));
            });
        }
    }
}

TEST(CudaLayerNorm, GradientsOfManyRows) {
    emulator::shuffle(6);
    const Shape shape{4300, 8}, per_feature{8};
    const Guarded x = uniform(shape, 1), branch = uniform(shape, 2), dy = uniform(shape, 3),
                  gamma = uniform(per_feature, 4), beta = uniform(per_feature, 5);
    const Guarded y(shape), moments({shape[0], 2}), dx(shape), dbranch(shape), dgamma(per_feature), dbeta(per_feature);
    cpu().layer_norm_forward(y, moments, x, branch, gamma, beta, 1e-5f, {}, {});
    cpu().layer_norm_backward(dx, dbranch, dgamma, dbeta, dy, moments, x, branch, gamma, {}, {});
    const OnDevice d_x(x), d_branch(branch), d_dy(dy), d_gamma(gamma), d_moments(moments);
    const OnDevice d_dx(shape), d_dbranch(shape), d_dgamma(per_feature), d_dbeta(per_feature);
    const OnDevice scratch = scratch_on_device(cuda::layer_norm_backward_scratch_bytes(shape));
    cuda::layer_norm_backward(d_dx, d_dbranch, d_dgamma, d_dbeta, d_dy, d_moments, d_x, d_branch, d_gamma, {}, {},
                              scratch, nullptr);
    EXPECT_TRUE(close(d_dgamma, dgamma, rounding(DType::F32, 4300), "dgamma"));
    EXPECT_TRUE(close(d_dbeta, dbeta, rounding(DType::F32, 4300), "dbeta"));
}

} // namespace
} // namespace scene::test
