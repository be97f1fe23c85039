#pragma once

// What the tests of convolution ops share.

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/op_test.h"

namespace scene::test {

inline std::string describe(const Conv2dShape& shape) {
    return shape.x().text() + " * " + shape.w().text() + " stride " + std::to_string(shape.stride) + " padding " +
           std::to_string(shape.padding);
}

/// Winograd's transforms round what a direct sum does not. Measured at the models' full shapes, largest error over
/// largest value: at most 3.4e-6 on the CPU (kernels/conv2d/cpu_algorithm.h). cuDNN's engines interpolate at the usual
/// points, whose error is four times that of the CPU's (kernels/conv2d/cpu_winograd_transforms.h: 8e-6 for 2e-6).
/// Everything else sums products, as the naive version does.
inline AllowanceOn convolution_allowance(const Conv2dShape& shape) {
    const bool winograd = shape.kernel == 3 && shape.stride == 1 && shape.padding == 1;
    return [winograd](TestDevice& device, DType) {
        Allowance allowance;
        if (winograd) allowance.of_largest = device.kind() == DeviceKind::Gpu ? 4 * 3.4e-6 : 3.4e-6;
        return std::optional(allowance);
    };
}

/// Whether a device offers a fusion for the shape.
inline std::function<bool(TestDevice&)> offering(bool ConvFusion::*part, const Conv2dShape& shape) {
    return [part, shape](TestDevice& device) {
        device.device().autotune({shape});
        return device.device().planner().conv2d_fusion(shape).*part;
    };
}

/// Of each channel.
struct Moments {
    std::vector<double> mean, variance; ///< biased
};

inline Moments moments_of(const HostArray& y) {
    const auto channels = static_cast<size_t>(y.shape[y.shape.rank() - 1]);
    const double rows = static_cast<double>(y.values.size() / channels);
    Moments moments{std::vector<double>(channels), std::vector<double>(channels)};
    for (size_t i = 0; i < y.values.size(); ++i) moments.mean[i % channels] += y.values[i] / rows;
    for (size_t i = 0; i < y.values.size(); ++i) {
        const double difference = y.values[i] - moments.mean[i % channels];
        moments.variance[i % channels] += difference * difference / rows;
    }
    return moments;
}

/// A failure names the engines that ran, in the order in which they were chosen.
class ConvolutionTest : public testing::Test {
protected:
    void TearDown() override {
        if (!HasFailure()) return;
        for (TestDevice* device : devices())
            for (const ConvChoice& choice : device->device().planner().conv2d_report().choices)
                if (choice.ran)
                    std::printf("%s, %s: %s\n", device->name().c_str(), choice.pass.c_str(), choice.engine.c_str());
    }
};

} // namespace scene::test
