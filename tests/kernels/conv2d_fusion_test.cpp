// The fusions of convolutions, and which device offers which.

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/convolutions.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Conv2dFusions = ConvolutionTest;

TEST_F(Conv2dFusions, BiasThenRelu) {
    bool relu = false;
    for (const Conv2dShape& shape : all_shapes()) {
        Conv2dForward<HostArray> forward = with_bias(forward_of(shape));
        forward.relu = relu = !relu; // alternates: every algorithm has several shapes
        const AllowanceOn allowance = convolution_allowance(shape);
        expect_like_reference(forward, describe(shape), [&](TestDevice& device, DType type) {
            return relu || on_cpu(device) || has_few_channels(shape) ? allowance(device, type) : std::nullopt;
        });
        if (!relu) expect_like_reference(with_bias_and_relu(forward_of(shape)), describe(shape), allowance);
    }
}

/// A library's engine adds the bias only before a relu, and reads it in the activation type.
TEST_F(Conv2dFusions, ABiasOfTheLibraryIsOfTheActivationType) {
    const Conv2dShape shape{1, 4, 4, 16, 16, 3, 1, 1};
    const auto elsewhere = [](TestDevice& device) { return !on_cpu(device); };
    expect_refused(with_bias(forward_of(shape)), elsewhere);
    Conv2dForward<HostArray> wide = with_bias_and_relu(forward_of(shape));
    wide.bias.activation = false;
    expect_refused(wide, [&](TestDevice& device) {
        return elsewhere(device) && is_half_width(device.activation_types().front());
    });
}

TEST_F(Conv2dFusions, ReluNeedsBias) {
    Conv2dForward<HostArray> forward = forward_of({1, 4, 4, 16, 16});
    forward.relu = true;
    expect_refused(forward);
}

/// All channels but those of stems are at least 16, the most lanes of any vector: below that, what the CPU offers
/// depends on its vectors. The emulator offers every fusion (Fusions::Always), those of training cuDNN only for
/// F16 and multiples of 8 channels.
TEST_F(Conv2dFusions, WhatEachDeviceOffers) {
    struct Case {
        Conv2dShape shape;
        bool few_channels, winograd;
    };
    const std::vector<Case> cases{
        {{2, 21, 16, 144, 144, 3, 1, 1}, false, true}, {{3, 31, 13, 16, 16, 3, 1, 1}, false, true},
        {{2, 12, 8, 16, 24, 3, 1, 1}, false, true},    {{3, 37, 21, 1, 144, 5, 2, 2}, true, false},
        {{3, 19, 11, 3, 40, 3, 1, 1}, true, false},    {{2, 9, 6, 4, 16, 3, 1, 1}, true, false},
        {{3, 7, 5, 24, 18, 3, 2, 1}, false, false},    {{1, 9, 9, 40, 40, 5, 1, 2}, false, false},
        {{3, 9, 7, 32, 16, 1, 1, 0}, false, false},    {{3, 31, 4, 144, 128, 1, 1, 0}, false, false}};
    for (TestDevice* device : devices()) {
        for (const auto& [shape, few_channels, winograd] : cases) {
            SCOPED_TRACE(device->name() + " " + describe(shape));
            device->device().autotune({shape});
            const ConvFusion offered = device->device().planner().conv2d_fusion(shape);
            const bool cpu = device->kind() == DeviceKind::Cpu;
            const bool half = device->activation_types().front() == DType::F16;
            const bool eights = shape.in_channels % 8 == 0 && shape.out_channels % 8 == 0;
            const bool library = !few_channels && (device->kind() == DeviceKind::Emulator || (half && eights));
            EXPECT_EQ(offered.normalize_input, cpu ? winograd : library);
            EXPECT_EQ(offered.statistics, cpu ? winograd || few_channels : library);
            EXPECT_TRUE(offered.bias_relu);
            EXPECT_EQ(offered.narrow_bias, !cpu && !few_channels);
            EXPECT_EQ(offered.bn_reduce, !cpu && library);
            EXPECT_EQ(offered.closed_form_bn, !cpu && few_channels);
        }
    }
}

/// Where the device `runs` the op: y equals the reference, and mean and variance are the moments of that y.
void expect_statistics(const Conv2dForward<HostArray>& record, const std::function<bool(TestDevice&)>& runs) {
    SCOPED_TRACE(describe(record.shape));
    std::map<DType, std::pair<HostArray, HostArray>> y_of_type; // expected, naive
    for_each_setting(true, [&](TestDevice& device, DType type) {
        if (!runs(device)) return;
        const Conv2dForward<HostArray> given = rounded(record, type), actual = run_on(device, type, given);
        if (!y_of_type.contains(type))
            y_of_type[type] = {run_reference(given).y, rounded(run_reference(given, DType::F32), type).y};
        const auto& [expected, naive] = y_of_type[type];
        const Allowance allowance = *convolution_allowance(record.shape)(device, type);
        EXPECT_TRUE(op_test::within(actual.y, expected, naive, type, allowance.factor, allowance.roundings,
                                    allowance.of_largest));
        const Moments moments = moments_of(actual.y);
        double largest_y = 0, largest_variance = 0;
        for (const double value : actual.y.values) largest_y = std::max(largest_y, std::abs(value));
        for (const double value : moments.variance) largest_variance = std::max(largest_variance, value);
        // The CPU sums relative to a mean of a few values, in chains of 100: an error of eps/2*sqrt(100) standard
        // deviations, twice that for the variance, and the rounding of the mean. A GPU sums y and y*y in float, perhaps
        // of y before it is rounded to the activation type: half an ulp of each term, and the variance is a difference
        // of the two sums.
        const bool cpu = device.kind() == DeviceKind::Cpu;
        const double of_terms = is_half_width(type) ? rounding_of(type) : 0x1p-22;
        const double off_mean = cpu ? 6e-7 * std::sqrt(largest_variance) + 0x1p-24 * largest_y : of_terms * largest_y;
        const double off_variance = cpu ? 1.2e-6 * largest_variance : 2 * of_terms * largest_y * largest_y;
        for (size_t k = 0; k < moments.mean.size(); ++k) {
            EXPECT_NEAR(actual.mean.values[k], moments.mean[k], off_mean) << "channel " << k;
            EXPECT_NEAR(actual.variance.values[k], moments.variance[k], off_variance) << "channel " << k;
        }
    });
}

TEST_F(Conv2dFusions, StatisticsAreThoseOfTheOutput) {
    for (const Conv2dShape& shape : all_shapes())
        expect_statistics(with_statistics(forward_of(shape)), offering(&ConvFusion::statistics, shape));
}

TEST_F(Conv2dFusions, TheInputIsNormalizedOnTheWay) {
    for (const Conv2dShape& shape : all_shapes()) {
        const auto normalizes = offering(&ConvFusion::normalize_input, shape);
        expect_statistics(with_statistics(with_input_norm(forward_of(shape))), normalizes);
        const AllowanceOn allowance = weight_grad_allowance(shape, true);
        expect_like_reference(with_input_norm(weight_grad_of(shape)), describe(shape),
                              [&](TestDevice& device, DType type) {
                                  return normalizes(device) ? allowance(device, type) : std::nullopt;
                              });
    }
}

TEST_F(Conv2dFusions, WhatIsNotOfferedIsRefused) {
    for (const Conv2dShape& shape : {Conv2dShape{1, 4, 4, 16, 16, 3, 1, 1},
                                     {1, 9, 7, 3, 9, 5, 2, 2},
                                     {3, 7, 5, 24, 18, 3, 2, 1},
                                     {1, 7, 3, 24, 9, 1, 1, 0}}) {
        SCOPED_TRACE(describe(shape));
        const auto lacking = [&](bool ConvFusion::*part) {
            return [part, &shape](TestDevice& device) { return !offering(part, shape)(device); };
        };
        expect_refused(with_statistics(forward_of(shape)), lacking(&ConvFusion::statistics));
        expect_refused(with_statistics(with_input_norm(forward_of(shape))), lacking(&ConvFusion::normalize_input));
        expect_refused(with_input_norm(weight_grad_of(shape)), lacking(&ConvFusion::normalize_input));
    }
}

/// The CPU's algorithms combine fusions freely, cuDNN's engines do not.
TEST_F(Conv2dFusions, CombinedFusions) {
    for (const Conv2dShape& shape : {Conv2dShape{2, 31, 13, 24, 24, 3, 1, 1}, {1, 13, 12, 1, 144, 5, 2, 2}}) {
        const Conv2dForward<HostArray> far = with_statistics(with_bias(forward_of(shape), 900, 1100));
        expect_statistics(far, on_cpu);
        expect_refused(far, [](TestDevice& device) { return !on_cpu(device); });
    }
    const Conv2dShape shape{2, 31, 13, 24, 24, 3, 1, 1};
    Conv2dForward<HostArray> all = with_bias(with_input_norm(forward_of(shape)));
    all.relu = true;
    expect_like_reference(all, describe(shape), [&](TestDevice& device, DType type) {
        return on_cpu(device) ? convolution_allowance(shape)(device, type) : std::nullopt;
    });
    expect_refused(all, [](TestDevice& device) { return !on_cpu(device); });
}

} // namespace
} // namespace scene::test
