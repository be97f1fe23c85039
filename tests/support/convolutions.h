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

/// So few input channels that our own kernels convolve, and no library does.
inline bool has_few_channels(const Conv2dShape& shape) { return shape.in_channels <= 4; }

/// Winograd's transforms round where a direct sum does not. On the CPU the largest error is at most 3.4e-6 of the
/// largest value, measured at the models' full shapes (kernels/conv2d/cpu_algorithm.h). cuDNN's engines interpolate at
/// the usual points, whose error is four times that of the CPU's points (kernels/conv2d/cpu_winograd_transforms.h: 8e-6
/// and 2e-6). All other convolutions sum products as the naive version does.
inline AllowanceOn convolution_allowance(const Conv2dShape& shape) {
    const bool winograd = shape.kernel == 3 && shape.stride == 1 && shape.padding == 1 && !has_few_channels(shape);
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

/// Per channel.
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

/// Convolutions of few input channels: both models' first layers, odd extents, channels that do not fill vectors, no
/// padding, more padding than input.
inline const std::vector<Conv2dShape> of_few_channels = {
    {2, 13, 12, 1, 144, 5, 2, 2}, {1, 103, 3, 1, 24, 5, 2, 2}, {1, 9, 7, 3, 40, 3, 1, 1},
    {1, 9, 7, 3, 9, 5, 2, 2},     {1, 55, 3, 1, 18, 3, 1, 1},  {3, 6, 5, 2, 10, 3, 1, 0},
    {2, 7, 5, 1, 8, 3, 2, 3},     {2, 9, 6, 4, 8, 3, 1, 1},    {1, 1, 1, 1, 1, 1, 1, 0}};

/// All others: layers of the models and corner cases, so that each algorithm of each device runs, with each of its
/// tilings.
inline const std::vector<Conv2dShape> of_many_channels = {
    {1, 21, 17, 144, 16, 3, 1, 1}, {1, 21, 17, 16, 144, 3, 1, 1}, {1, 9, 8, 16, 288, 3, 1, 1},
    {3, 17, 9, 18, 40, 3, 1, 1},   {1, 5, 3, 40, 9, 3, 1, 1},     {2, 31, 13, 24, 24, 3, 1, 1},
    {1, 1, 1, 24, 18, 3, 1, 1},    {3, 7, 5, 24, 18, 3, 2, 1},    {1, 9, 9, 40, 40, 5, 1, 2},
    {2, 11, 4, 144, 128, 1, 1, 0}, {1, 7, 3, 24, 9, 1, 1, 0},     {5, 13, 16, 8, 8, 3, 1, 1},
    {34, 5, 6, 8, 16, 3, 1, 1},    {2, 12, 8, 16, 24, 3, 1, 1},   {3, 9, 7, 32, 16, 1, 1, 0}};

inline std::vector<Conv2dShape> all_shapes() {
    std::vector<Conv2dShape> all = of_few_channels;
    all.insert(all.end(), of_many_channels.begin(), of_many_channels.end());
    return all;
}

inline Conv2dForward<HostArray> forward_of(const Conv2dShape& shape) {
    return {.y = empty_activation(shape.y()),
            .x = uniform_activation(shape.x(), 1),
            .w = uniform_activation(shape.w(), 2),
            .shape = shape};
}

/// Of the type that a device reads: f32 with few channels, else the activation type (ConvFusion::narrow_bias).
inline Conv2dForward<HostArray> with_bias(Conv2dForward<HostArray> forward, double least = -1, double most = 1) {
    const Shape channels{forward.shape.out_channels};
    forward.bias = has_few_channels(forward.shape) ? uniform_f32(channels, 3, least, most)
                                                   : uniform_activation(channels, 3, least, most);
    return forward;
}

inline Conv2dForward<HostArray> with_bias_and_relu(const Conv2dForward<HostArray>& forward) {
    Conv2dForward<HostArray> both = with_bias(forward);
    both.relu = true;
    return both;
}

inline Conv2dForward<HostArray> with_statistics(Conv2dForward<HostArray> forward) {
    forward.mean = empty({forward.shape.out_channels});
    forward.variance = empty({forward.shape.out_channels});
    return forward;
}

template <class Op> Op with_input_norm(Op op) {
    op.input_scale = uniform_activation({op.shape.in_channels}, 4);
    op.input_shift = uniform_activation({op.shape.in_channels}, 5);
    return op;
}

inline Conv2dDataGrad<HostArray> data_grad_of(const Conv2dShape& shape) {
    return {.dx = empty_activation(shape.x()),
            .dy = uniform_activation(shape.y(), 6),
            .w = uniform_activation(shape.w(), 2),
            .shape = shape};
}

inline Conv2dWeightGrad<HostArray> weight_grad_of(const Conv2dShape& shape) {
    return {.dw = empty(shape.w()),
            .dy = uniform_activation(shape.y(), 6),
            .x = uniform_activation(shape.x(), 1),
            .shape = shape};
}

inline bool on_cpu(TestDevice& device) { return device.kind() == DeviceKind::Cpu; }

/// In F16 and BF16 a library's weight gradient is rounded to that type before it is widened. With an input norm
/// relu(scale*x + shift) is rounded too.
inline AllowanceOn weight_grad_allowance(const Conv2dShape& shape, bool input_norm = false) {
    return [=](TestDevice& device, DType type) {
        std::optional<Allowance> allowance = convolution_allowance(shape)(device, type);
        if (is_half_width(type) && !has_few_channels(shape))
            allowance->of_largest = (input_norm ? 2 : 0x1.1p0) * rounding_of(type);
        return allowance;
    };
}

/// On a failure it prints the engines that ran, in the order in which they were chosen.
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
