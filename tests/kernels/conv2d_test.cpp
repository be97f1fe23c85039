#include <algorithm>

#include "tests/support/convolutions.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Conv2d = ConvolutionTest;

// ---- the three passes -----------------------------------------------------------------------------------------------

TEST_F(Conv2d, ForwardEqualsTheReference) {
    for (const Conv2dShape& shape : all_shapes())
        expect_like_reference(forward_of(shape), describe(shape), convolution_allowance(shape));
}

TEST_F(Conv2d, DataGradEqualsTheReference) {
    for (const Conv2dShape& shape : all_shapes())
        expect_like_reference(data_grad_of(shape), describe(shape), convolution_allowance(shape));
}

TEST_F(Conv2d, WeightGradEqualsTheReference) {
    for (const Conv2dShape& shape : all_shapes())
        expect_like_reference(weight_grad_of(shape), describe(shape), weight_grad_allowance(shape));
}

/// Winograd splits the tiles into blocks, and blocks into chunks.
TEST_F(Conv2d, MoreTilesThanABlockOnTheCpu) {
    const auto on_cpu_alone = [](const AllowanceOn& allowance) -> AllowanceOn {
        return [=](TestDevice& device, DType type) { return on_cpu(device) ? allowance(device, type) : std::nullopt; };
    };
    const Conv2dShape wide{1, 52, 20, 16, 208, 3, 1, 1}, large{2, 62, 64, 16, 16, 3, 1, 1};
    expect_like_reference(data_grad_of(wide), describe(wide), on_cpu_alone(convolution_allowance(wide)));
    expect_like_reference(weight_grad_of(large), describe(large), on_cpu_alone(weight_grad_allowance(large)));
}

TEST_F(Conv2d, ReferenceGradientsAreFiniteDifferences) {
    using Forward = Conv2dForward<HostArray>;
    for (const Conv2dShape& shape :
         {Conv2dShape{2, 5, 4, 3, 2, 3, 1, 1}, {1, 6, 5, 2, 3, 5, 2, 2}, {1, 4, 3, 2, 3, 1, 2, 0}}) {
        const Forward forward = forward_of(shape);
        const Conv2dDataGrad<HostArray> data_grad = run_reference(data_grad_of(shape));
        const Conv2dWeightGrad<HostArray> weight_grad = run_reference(weight_grad_of(shape));
        const Conv2dWeightGrad<HostArray> of_norm = run_reference(with_input_norm(weight_grad_of(shape)));
        EXPECT_TRUE(near_all(data_grad.dx, numeric_gradient(forward, &Forward::x, &Forward::y, data_grad.dy)));
        EXPECT_TRUE(near_all(weight_grad.dw, numeric_gradient(forward, &Forward::w, &Forward::y, weight_grad.dy)));
        EXPECT_TRUE(
            near_all(of_norm.dw, numeric_gradient(with_input_norm(forward), &Forward::w, &Forward::y, of_norm.dy)));
    }
}

TEST_F(Conv2d, ReferenceOfKnownValues) {
    Conv2dForward<HostArray> forward = forward_of({1, 2, 3, 1, 1, 3, 2, 1});
    forward.x = with_values({1, 2, 3, 1}, {1, 2, 3, 4, 5, 6});
    forward.w = with_values({1, 3, 3, 1}, {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8});
    EXPECT_EQ(run_reference(forward).y.values, (std::vector<double>{540210000, 65032000}));
    forward.input_scale = with_values({1}, {-1});
    forward.input_shift = with_values({1}, {3});
    forward.bias = with_values({1}, {-50000});
    forward.relu = true;
    EXPECT_EQ(run_reference(forward).y.values, (std::vector<double>{70000, 0}));
    forward.relu = false;
    forward = with_statistics(forward);
    EXPECT_EQ(run_reference(forward).y.values, (std::vector<double>{70000, -49000}));
    EXPECT_EQ(run_reference(forward).mean.values, (std::vector<double>{10500}));
    EXPECT_EQ(run_reference(forward).variance.values, (std::vector<double>{59500.0 * 59500}));
}

/// On the CPU every shape, since its threads share the work; on other devices one shape of each kind.
TEST_F(Conv2d, SameBits) {
    const std::vector<Conv2dShape> elsewhere = {{1, 9, 7, 3, 9, 5, 2, 2}, {2, 12, 8, 16, 24, 3, 1, 1}};
    for (const Conv2dShape& shape : all_shapes()) {
        SCOPED_TRACE(describe(shape));
        const bool everywhere = std::find(elsewhere.begin(), elsewhere.end(), shape) != elsewhere.end();
        const auto where = [&](bool ConvFusion::*part, bool offered) {
            return [=](TestDevice& device) {
                return (everywhere || on_cpu(device)) && offering(part, shape)(device) == offered;
            };
        };
        const auto bias = where(&ConvFusion::bias_relu, true), sums = where(&ConvFusion::statistics, true);
        const auto normalizes = where(&ConvFusion::normalize_input, true);
        expect_same_bits(with_bias_and_relu(forward_of(shape)), bias);
        expect_same_bits(with_statistics(forward_of(shape)), sums);
        expect_same_bits(data_grad_of(shape), bias);
        expect_same_bits(weight_grad_of(shape), bias);
        expect_same_bits(with_statistics(with_input_norm(forward_of(shape))), normalizes);
        expect_same_bits(with_input_norm(weight_grad_of(shape)), normalizes);
    }
}

// ---- prepared and folded weights ------------------------------------------------------------------------------------

TEST_F(Conv2d, PreparedWeightsGiveTheSameBitsWithLessScratch) {
    for (TestDevice* device : devices()) {
        for (const Conv2dShape& shape :
             {Conv2dShape{1, 21, 16, 144, 144, 3, 1, 1}, Conv2dShape{1, 9, 13, 16, 100, 3, 1, 1},
              Conv2dShape{1, 30, 30, 33, 17, 3, 1, 1}}) {
            SCOPED_TRACE(device->name() + " " + describe(shape));
            const DType type = device->activation_types().front();
            const Planner& planner = device->device().planner();
            const PreparedWeights form = planner.conv2d_prepared_weights(shape);
            ASSERT_EQ(form.floats > 0, on_cpu(*device));
            const Conv2dForward<HostArray> forward = rounded(with_bias_and_relu(forward_of(shape)), type);
            const Conv2dPrepareWeights<HostArray> prepare{
                .prepared = empty({std::max<int64_t>(form.floats, 1)}), .w = forward.w, .shape = shape};
            if (form.floats == 0) {
                EXPECT_THROW(run_on(*device, type, prepare), std::logic_error);
                continue;
            }
            Conv2dForward<HostArray> prepared = forward;
            prepared.w = HostArray();
            prepared.prepared_w = run_on(*device, type, prepare).prepared;
            EXPECT_EQ(run_on(*device, type, prepared).y.values, run_on(*device, type, forward).y.values);
            const auto scratch_of = [&](const Conv2dForward<HostArray>& record) {
                return planner.scratch_bytes(rebound<TensorSpec>(record, [](const HostArray& array) {
                    return array ? TensorSpec(array.dtype, array.shape) : TensorSpec();
                }));
            };
            EXPECT_EQ(scratch_of(prepared) + static_cast<size_t>(form.floats) * sizeof(float), scratch_of(forward));
        }
    }
}

TEST_F(Conv2d, PreparedWeightsAreOfferedWhereMakingThemIsAGoodPartOfTheWork) {
    for (TestDevice* device : devices()) {
        if (!on_cpu(*device)) continue;
        const Planner& planner = device->device().planner();
        EXPECT_GT(planner.conv2d_prepared_weights({16, 62, 8, 576, 576, 3, 1, 1}).floats, 0);
        EXPECT_EQ(planner.conv2d_prepared_weights({16, 500, 64, 64, 64, 3, 1, 1}).floats, 0) << "many tiles";
        EXPECT_EQ(planner.conv2d_prepared_weights({1, 62, 8, 64, 128, 1, 1, 0}).floats, 0) << "another algorithm";
    }
    const Conv2dShape shape{1, 4, 2, 64, 64, 1, 1, 0};
    expect_refused(Conv2dPrepareWeights<HostArray>{
        .prepared = empty({64 * 64}), .w = uniform_activation(shape.w(), 1), .shape = shape});
}

/// The reference's form is the weights themselves.
TEST_F(Conv2d, ReferenceOfPreparedWeights) {
    const Conv2dShape shape{1, 4, 5, 2, 3};
    const Conv2dForward<HostArray> forward = forward_of(shape);
    Conv2dForward<HostArray> prepared = forward;
    prepared.prepared_w =
        run_reference(Conv2dPrepareWeights<HostArray>{.prepared = empty(shape.w()), .w = forward.w, .shape = shape})
            .prepared;
    prepared.w = HostArray();
    EXPECT_EQ(run_reference(prepared).y.values, run_reference(forward).y.values);
}

TEST_F(Conv2d, FoldedWeights) {
    const Shape shape{3, 5, 5, 7};
    const FoldConvWeights<HostArray> fold{
        .folded_w = empty_activation(shape), .w = uniform_f32(shape, 1), .scale = with_values({3}, {2, -0.5, 0})};
    expect_like_reference(fold);
    expect_same_bits(fold);
    FoldConvWeights<HostArray> of_activations = fold;
    of_activations.w = uniform_activation(shape, 1);
    expect_like_reference(of_activations);
    FoldConvWeights<HostArray> known = fold;
    known.w = integer_activation(shape, 2, -9, 9);
    const HostArray folded = run_reference(known).folded_w;
    for (int64_t i = 0; i < folded.size(); ++i) EXPECT_EQ(folded[i], known.w[i] * known.scale[i / (5 * 5 * 7)]);
    FoldConvWeights<HostArray> wrong = fold;
    wrong.scale = uniform_f32({4}, 1);
    expect_refused(wrong);
    wrong = fold;
    wrong.folded_w = empty_activation({3, 5, 5, 8});
    expect_refused(wrong);
}

/// All outputs that the NaN is a term of; a Winograd convolution spreads it over its tile.
TEST_F(Conv2d, ReluPassesANanOn) {
    for (const Conv2dShape& shape : all_shapes()) {
        Conv2dForward<HostArray> forward = with_bias_and_relu(forward_of(shape));
        const Shape of_x = shape.x(), of_y = shape.y();
        const int64_t h = of_x[1] / 2, w = of_x[2] / 2;
        forward.x[(h * of_x[2] + w) * of_x[3]] = std::nan("");
        for_each_setting(true, [&](TestDevice& device, DType type) {
            if (device.kind() == DeviceKind::Gpu && !has_few_channels(shape)) return; // cuDNN does not say
            const HostArray y = run_on(device, type, rounded(forward, type)).y;
            for (int64_t p = 0; p < of_y[1]; ++p)
                for (int64_t q = 0; q < of_y[2]; ++q) {
                    const int64_t r = h - p * shape.stride + shape.padding, s = w - q * shape.stride + shape.padding;
                    if (r < 0 || r >= shape.kernel || s < 0 || s >= shape.kernel) continue;
                    for (int64_t k = 0; k < of_y[3]; ++k)
                        EXPECT_TRUE(std::isnan(y[(p * of_y[2] + q) * of_y[3] + k]))
                            << describe(shape) << " at " << p << ", " << q << ", " << k;
                }
        });
    }
}

// ---- refusals -------------------------------------------------------------------------------------------------------

TEST_F(Conv2d, WrongOperandsAreRefused) {
    for (const Conv2dShape& shape :
         {Conv2dShape{1, 4, 4, 16, 16, 3, 1, 1}, {1, 4, 4, 2, 16, 3, 1, 1}, {1, 4, 4, 16, 16, 5, 1, 2}}) {
        SCOPED_TRACE(describe(shape));
        Conv2dForward<HostArray> forward = forward_of(shape);
        forward.x = uniform_activation({1, 4, 8, shape.in_channels / 2}, 1);
        expect_refused(forward);
        forward = forward_of(shape);
        forward.y = empty_activation({1, 4, 4, 15});
        expect_refused(forward);
        forward = forward_of(shape);
        forward.w = HostArray();
        expect_refused(forward);
        forward = with_bias_and_relu(forward_of(shape));
        forward.bias = forward.bias.activation ? uniform_activation({15}, 1) : uniform_f32({15}, 1);
        expect_refused(forward);
        Conv2dDataGrad<HostArray> data_grad = data_grad_of(shape);
        data_grad.dx = empty_activation({1, 4, 4, shape.in_channels + 1});
        expect_refused(data_grad);
        Conv2dWeightGrad<HostArray> weight_grad = weight_grad_of(shape);
        weight_grad.dw = empty({15, 3, 3, 16});
        expect_refused(weight_grad);
        weight_grad = weight_grad_of(shape);
        weight_grad.dy = uniform_activation({1, 4, 4, 15}, 1);
        expect_refused(weight_grad);
    }
    Conv2dForward<HostArray> half_norm = with_input_norm(with_statistics(forward_of({1, 4, 4, 16, 16, 3, 1, 1})));
    half_norm.input_shift = HostArray();
    expect_refused(half_norm);
    Conv2dForward<HostArray> half_statistics = with_statistics(forward_of({1, 4, 4, 16, 16, 3, 1, 1}));
    half_statistics.variance = HostArray();
    expect_refused(half_statistics);
}

TEST_F(Conv2d, WhatIsNoConvolutionIsRefused) {
    for (const Conv2dShape& shape : {Conv2dShape{1, 2, 2, 16, 16, 5, 1, 0},
                                     {1, 4, 4, 16, 16, 3, 0, 1},
                                     {0, 4, 4, 16, 16, 3, 1, 1},
                                     {1, 4, 4, 0, 16, 3, 1, 1}})
        for (TestDevice* device : devices()) {
            const Conv2dForward<TensorSpec> forward{.y = TensorSpec(), .x = TensorSpec(), .shape = shape};
            EXPECT_THROW(device->device().autotune({shape});
                         (void)device->device().planner().scratch_bytes(forward), std::logic_error)
                << device->name();
        }
}

/// A device that chooses among algorithms does so in autotune.
TEST_F(Conv2d, AGpuKnowsOnlyShapesThatWereAutotuned) {
    const Conv2dShape shape{1, 6, 5, 16, 32};
    for (TestDevice* device : devices()) {
        SCOPED_TRACE(device->name());
        const auto plan = [&] {
            const DType type = device->activation_types().front();
            return device->device().planner().scratch_bytes(Conv2dForward<TensorSpec>{.y = TensorSpec(type, shape.y()),
                                                                                      .x = TensorSpec(type, shape.x()),
                                                                                      .w = TensorSpec(type, shape.w()),
                                                                                      .shape = shape});
        };
        if (on_cpu(*device)) {
            EXPECT_GT(plan(), 0u);
            continue;
        }
        EXPECT_THROW(plan(), std::logic_error);
        device->device().autotune({shape});
        EXPECT_NO_THROW(plan());
    }
}

} // namespace
} // namespace scene::test
