#include <cmath>

#include "tests/support/convolutions.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

const std::vector<Conv2dShape> shapes = {{2, 12, 8, 16, 24, 3, 1, 1}, {3, 9, 7, 32, 16, 1, 1, 0},
                                         {2, 7, 5, 24, 16, 3, 1, 1},  {1, 6, 9, 5, 7, 1, 1, 0},
                                         {1, 9, 8, 18, 10, 5, 2, 2},  {2, 9, 6, 3, 8, 3, 1, 1}};

Conv2dDataGradBnReduce<HostArray> bn_reduce_of(const Conv2dShape& shape) {
    const Shape channels{shape.in_channels};
    return {.dz = empty_activation(shape.x()),
            .dgamma = empty(channels),
            .dbeta = empty(channels),
            .dy = uniform_activation(shape.y(), 1),
            .w = uniform_activation(shape.w(), 2),
            .norm_x = uniform_activation(shape.x(), 3, -1, 2),
            .mean = uniform_f32(channels, 4),
            .inv_std = uniform_f32(channels, 5, 0.5, 2),
            .gamma = uniform_f32(channels, 6, -2, 2),
            .beta = uniform_f32(channels, 7),
            .shape = shape};
}

/// The CPU runs the op for every shape, though its planner does not offer it; other devices where they offer it.
bool runs(TestDevice& device, const Conv2dShape& shape) {
    return device.kind() == DeviceKind::Cpu || offering(&ConvFusion::bn_reduce, shape)(device);
}

/// The sums may be of dz before it is rounded to the activation type, so each term may differ by half an ulp.
AllowanceOn allowance_where_it_runs(const Conv2dShape& shape) {
    return [shape](TestDevice& device, DType type) -> std::optional<Allowance> {
        if (!runs(device, shape)) return std::nullopt;
        std::optional<Allowance> allowance = convolution_allowance(shape)(device, type);
        if (is_half_width(type)) allowance->of_largest = 2 * rounding_of(type);
        return allowance;
    };
}

using Conv2dBnReduce = ConvolutionTest;

TEST_F(Conv2dBnReduce, EqualsTheReference) {
    for (const Conv2dShape& shape : shapes)
        expect_like_reference(bn_reduce_of(shape), describe(shape), allowance_where_it_runs(shape));
}

/// z = gamma*xhat + beta is a normalised input with scale = gamma*inv_std and shift = beta - gamma*mean*inv_std.
TEST_F(Conv2dBnReduce, ReferenceGradientsAreFiniteDifferences) {
    using Forward = Conv2dForward<HostArray>;
    for (const Conv2dShape& shape : {Conv2dShape{2, 5, 4, 3, 2, 3, 1, 1}, {1, 6, 5, 2, 3, 5, 2, 2}}) {
        const Conv2dDataGradBnReduce<HostArray> grad = run_reference(bn_reduce_of(shape));
        HostArray scale = empty({shape.in_channels}), shift = scale;
        scale.given = shift.given = true;
        for (int64_t c = 0; c < shape.in_channels; ++c) {
            scale[c] = grad.gamma[c] * grad.inv_std[c];
            shift[c] = grad.beta[c] - scale[c] * grad.mean[c];
        }
        const Forward forward{.y = empty_activation(shape.y()),
                              .x = grad.norm_x,
                              .w = grad.w,
                              .input_scale = scale,
                              .input_shift = shift,
                              .shape = shape};
        const auto gradient = [&](auto input) { return numeric_gradient(forward, input, &Forward::y, grad.dy); };
        std::vector<double> dscale = gradient(&Forward::input_scale), dshift = gradient(&Forward::input_shift);
        EXPECT_TRUE(near_all(grad.dbeta, dshift));
        for (int64_t c = 0; c < shape.in_channels; ++c) // d shift/d gamma = -mean*inv_std, d scale/d gamma = inv_std
            dscale[static_cast<size_t>(c)] =
                (dscale[static_cast<size_t>(c)] - grad.mean[c] * dshift[static_cast<size_t>(c)]) * grad.inv_std[c];
        EXPECT_TRUE(near_all(grad.dgamma, dscale));
        HostArray dx = grad.dz;
        for (int64_t i = 0; i < dx.size(); ++i) dx[i] *= scale[i % shape.in_channels];
        EXPECT_TRUE(near_all(dx, gradient(&Forward::x)));
    }
}

/// No gradient passes at z = 0. At a NaN none passes either, but dgamma becomes NaN; cuDNN promises nothing there.
TEST_F(Conv2dBnReduce, AtZeroAndNan) {
    const Conv2dShape shape{1, 1, 3, 8, 8, 1, 1, 0};
    Conv2dDataGradBnReduce<HostArray> record = bn_reduce_of(shape);
    std::fill(record.mean.values.begin(), record.mean.values.end(), 0.0);
    std::fill(record.inv_std.values.begin(), record.inv_std.values.end(), 1.0);
    std::fill(record.gamma.values.begin(), record.gamma.values.end(), 1.0);
    std::fill(record.beta.values.begin(), record.beta.values.end(), 0.0);
    std::fill(record.norm_x.values.begin(), record.norm_x.values.end(), 1.0);
    record.norm_x[0] = 0;
    record.norm_x[8 + 1] = std::nan("");
    for_each_setting(true, [&](TestDevice& device, DType type) {
        if (device.kind() == DeviceKind::Gpu || !runs(device, shape)) return;
        const auto done = run_on(device, type, rounded(record, type));
        EXPECT_EQ(done.dz[0], 0);
        EXPECT_NE(done.dz[8], 0);
        EXPECT_EQ(done.dz[8 + 1], 0);
        EXPECT_TRUE(std::isnan(done.dgamma[1]));
        EXPECT_FALSE(std::isnan(done.dgamma[0]));
    });
}

/// Followed by batch_norm_apply_gradient it equals conv2d_data_grad followed by batch_norm_backward.
TEST_F(Conv2dBnReduce, LeadsToTheGradientOfTheBatchNorm) {
    for (const Conv2dShape& shape : shapes) {
        const Shape channels{shape.in_channels};
        for_each_setting(true, [&](TestDevice& device, DType type) {
            if (!runs(device, shape)) return;
            Conv2dDataGradBnReduce<HostArray> reduce = bn_reduce_of(shape);
            const Moments moments = moments_of(reduce.norm_x);
            HostArray scale = empty(channels), shift = scale;
            scale.given = shift.given = true;
            for (int64_t c = 0; c < shape.in_channels; ++c) {
                reduce.mean[c] = moments.mean[static_cast<size_t>(c)];
                reduce.inv_std[c] = 1 / std::sqrt(moments.variance[static_cast<size_t>(c)] + 1e-5);
                scale[c] = reduce.gamma[c] * reduce.inv_std[c];
                shift[c] = reduce.beta[c] - scale[c] * reduce.mean[c];
            }
            const auto run = [&](const auto& op) { return run_on(device, type, rounded(op, type)); };
            reduce = run(reduce);
            const auto fused = run(BatchNormApplyGradient<HostArray>{.dx = empty_activation(shape.x()),
                                                                     .dz = reduce.dz,
                                                                     .x = reduce.norm_x,
                                                                     .mean = reduce.mean,
                                                                     .inv_std = reduce.inv_std,
                                                                     .scale = scale,
                                                                     .dgamma = reduce.dgamma,
                                                                     .dbeta = reduce.dbeta});
            const auto data_grad = run(Conv2dDataGrad<HostArray>{
                .dx = empty_activation(shape.x()), .dy = reduce.dy, .w = reduce.w, .shape = shape});
            const auto separate = run(BatchNormBackward<HostArray>{.dx = empty_activation(shape.x()),
                                                                   .dgamma = empty(channels),
                                                                   .dbeta = empty(channels),
                                                                   .dy = data_grad.dx,
                                                                   .x = reduce.norm_x,
                                                                   .mean = reduce.mean,
                                                                   .inv_std = reduce.inv_std,
                                                                   .scale = scale,
                                                                   .shift = shift,
                                                                   .epilogue = {}});
            const double tolerance = is_half_width(type) ? 4 * rounding_of(type) : 100 * 0x1p-24;
            EXPECT_TRUE(near_all(reduce.dgamma, separate.dgamma.values, tolerance)) << describe(shape);
            EXPECT_TRUE(near_all(reduce.dbeta, separate.dbeta.values, tolerance)) << describe(shape);
            EXPECT_TRUE(near_all(fused.dx, separate.dx.values, tolerance)) << describe(shape);
        });
    }
}

TEST_F(Conv2dBnReduce, SameBits) {
    for (const Conv2dShape& shape : shapes)
        expect_same_bits(bn_reduce_of(shape), [&](TestDevice& device) { return runs(device, shape); });
}

TEST_F(Conv2dBnReduce, RefusedWhereItIsNotOffered) {
    for (const Conv2dShape& shape : {shapes.back(), Conv2dShape{1, 6, 9, 5, 7, 1, 1, 0}})
        expect_refused(bn_reduce_of(shape), [&](TestDevice& device) { return !runs(device, shape); });
}

TEST_F(Conv2dBnReduce, WrongOperandsAreRefused) {
    const Conv2dShape shape{2, 7, 5, 24, 16, 3, 1, 1};
    Conv2dDataGradBnReduce<HostArray> record = bn_reduce_of(shape);
    record.norm_x = uniform_activation({2, 7, 5, 23}, 1);
    expect_refused(record);
    record = bn_reduce_of(shape);
    record.gamma = uniform_f32({16}, 1);
    expect_refused(record);
    record = bn_reduce_of(shape);
    record.dbeta = empty({25});
    expect_refused(record);
    record = bn_reduce_of(shape);
    record.dy = uniform_activation(shape.x(), 1);
    expect_refused(record);
}

} // namespace
} // namespace scene::test
