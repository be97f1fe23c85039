#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Statistics = Conv2dBnStatistics<HostArray>;
using Backward = Conv2dBnReluBackward<HostArray>;

constexpr double epsilon = 1e-5;

struct Case {
    Conv2dShape shape;
    double offset = 0; ///< of the input's mean, in its standard deviations

    std::string text() const {
        return shape.x().text() + " * " + shape.w().text() + " offset " + std::to_string(offset);
    }
};

Conv2dShape shape_of(const Shape& x, int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding) {
    return {.batch = x[0],
            .height = x[1],
            .width = x[2],
            .in_channels = x[3],
            .out_channels = out_channels,
            .kernel = kernel,
            .stride = stride,
            .padding = padding};
}

/// The FCNN's stems, without and with deltas, at odd extents; output channels that are no multiple of 4; input rows
/// that no patch reads; output rows of several tiles of 32 positions; more than 144 output channels.
const std::vector<Case> cases = {{shape_of({2, 13, 12, 1}, 144, 5, 2, 2)},  {shape_of({1, 7, 9, 3}, 72, 5, 2, 2)},
                                 {shape_of({3, 7, 5, 2}, 10, 3, 1, 1), 1},  {shape_of({2, 8, 6, 1}, 4, 3, 1, 0)},
                                 {shape_of({2, 8, 7, 1}, 3, 1, 2, 0), 0.5}, {shape_of({2, 9, 8, 4}, 6, 3, 2, 1)},
                                 {shape_of({1, 5, 67, 1}, 20, 5, 2, 2)},    {shape_of({1, 3, 3, 1}, 160, 3, 1, 1)}};

const Conv2dShape single_position = shape_of({1, 1, 1, 1}, 1, 1, 1, 0);

int64_t patch_of(const Conv2dShape& shape) { return shape.kernel * shape.kernel * shape.in_channels; }

HostArray input_of(const Case& c) {
    const double middle = c.offset / std::sqrt(3.0);
    return uniform_activation(c.shape.x(), 1, middle - 1, middle + 1);
}

Statistics statistics_of(const Conv2dShape& shape, HostArray x, HostArray w) {
    const int64_t patch = patch_of(shape);
    return {.mean = empty({shape.out_channels}),
            .variance = empty({shape.out_channels}),
            .moments = empty({1 + patch, patch}),
            .x = std::move(x),
            .w = std::move(w),
            .shape = shape};
}
Statistics statistics_of(const Case& c) { return statistics_of(c.shape, input_of(c), uniform_f32(c.shape.w(), 2)); }

/// a, mean, inv_std and scale are random: the op takes them as they are, whether or not they belong to the convolution.
Backward backward_of(const Case& c) {
    const Shape channels{c.shape.out_channels};
    const Statistics statistics = run_reference(statistics_of(c));
    return {.dx = empty_activation(c.shape.x()),
            .dw = empty(c.shape.w()),
            .dgamma = empty(channels),
            .dbeta = empty(channels),
            .da = uniform_activation(c.shape.y(), 3),
            .a = uniform_activation(c.shape.y(), 4),
            .x = statistics.x,
            .w = statistics.w,
            .moments = statistics.moments,
            .mean = uniform_f32(channels, 5),
            .inv_std = uniform_f32(channels, 6, 0.5, 2),
            .scale = uniform_f32(channels, 7, -2, 2),
            .shape = c.shape};
}

TEST(Conv2dBnRelu, StatisticsEqualTheReference) {
    for (const Case& c : cases) expect_like_reference(statistics_of(c), c.text());
}

TEST(Conv2dBnRelu, BackwardEqualsTheReference) {
    for (const Case& c : cases) expect_like_reference(backward_of(c), c.text());
}

/// Runs one order of threads only: grids of hundreds of blocks take long on the emulator.
template <template <class> class Op, class... Output>
void expect_near_reference(const Op<HostArray>& record, Output... output) {
    for (TestDevice* device : devices()) {
        const DType type = device->activation_types().front();
        const Op<HostArray> given = rounded(record, type), expected = run_reference(given);
        const Op<HostArray> actual = run_on(*device, type, given);
        const auto check = [&](const HostArray& value, const HostArray& wanted) {
            const double tolerance = value.activation && is_half_width(type) ? 2 * rounding_of(type) : 1e-6;
            EXPECT_TRUE(near_all(value, wanted.values, tolerance)) << device->name() << " " << record.name;
        };
        (check(actual.*output, expected.*output), ...);
    }
}

/// More tiles than the statistics have blocks, and clips of one chunk of several rows.
TEST(Conv2dBnRelu, ManyClips) {
    const Case c{shape_of({529, 2, 1, 1}, 3, 3, 1, 1)};
    expect_near_reference(statistics_of(c), &Statistics::mean, &Statistics::variance, &Statistics::moments);
    expect_near_reference(backward_of(c), &Backward::dx, &Backward::dw, &Backward::dgamma, &Backward::dbeta);
}

/// Chunks of several rows with a halo.
TEST(Conv2dBnRelu, LongClip) {
    const Case c{shape_of({1, 530, 2, 1}, 3, 3, 1, 1)};
    expect_near_reference(backward_of(c), &Backward::dx, &Backward::dw, &Backward::dgamma, &Backward::dbeta);
}

/// Sums of integers are exact, and so are means of 2^n positions.
TEST(Conv2dBnRelu, StatisticsOfIntegersAreExact) {
    const Allowance none{.factor = 0, .roundings = 0};
    for (const Conv2dShape& shape : {single_position, shape_of({2, 4, 8, 2}, 6, 3, 2, 1)}) {
        const HostArray x = integer_activation(shape.x(), 1, -3, 3), w = integer_activation(shape.w(), 2, -2, 2);
        expect_like_reference(statistics_of(shape, x, with_values(shape.w(), w.values)), shape.x().text(), none);
    }
}

/// No gradient passes where a = 0, as in many elements of a relu's output.
TEST(Conv2dBnRelu, ZerosLetNoGradientPass) {
    Backward backward = backward_of(cases[2]);
    backward.a = integer_activation(backward.a.shape, 4, -1, 1);
    backward.da = integer_activation(backward.a.shape, 3, -2, 2);
    expect_like_reference(backward);
    backward.a = integer_activation(backward.a.shape, 4, 0, 0);
    const Backward done = run_reference(backward);
    for (const double value : done.dgamma.values) EXPECT_EQ(value, 0);
    for (const double value : done.dx.values) EXPECT_EQ(value, 0);
    expect_like_reference(backward);
}

/// Two filters that differ in the last bits only, with opposite signs: dx is what those bits leave.
TEST(Conv2dBnRelu, DxKeepsTheLastBitsOfTheWeights) {
    const Case c{shape_of({1, 4, 8, 1}, 2, 1, 1, 0)};
    Backward backward = backward_of(c);
    backward.w = with_values(c.shape.w(), {1 + 0x1p-13, -1});
    const HostArray gradient = uniform_activation({1, 4, 8, 1}, 3);
    for (int64_t i = 0; i < 2 * 4 * 8; ++i) {
        backward.da[i] = gradient.values[static_cast<size_t>(i / 2)];
        backward.a[i] = 1;
    }
    backward.mean = with_values({2}, {0, 0});
    backward.inv_std = backward.scale = with_values({2}, {1, 1});
    expect_like_reference(backward);
}

/// Weights below the smallest numbers of half precision.
TEST(Conv2dBnRelu, DxOfSmallWeights) {
    const Case& c = cases[3];
    Backward backward = backward_of(c);
    backward.scale = uniform_f32({c.shape.out_channels}, 7, 1e-6, 2e-6);
    backward.da = uniform_activation(c.shape.y(), 3, -1000, 1000);
    expect_like_reference(backward);
}

// ---- the closed form against convolution, batch norm and relu -------------------------------------------------------

/// The convolution's output [N, P, Q, K].
std::vector<double> convolved(const HostArray& x, const HostArray& w, const Conv2dShape& s) {
    std::vector<double> y;
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t p = 0; p < s.out_height(); ++p)
            for (int64_t q = 0; q < s.out_width(); ++q)
                for (int64_t k = 0; k < s.out_channels; ++k) {
                    double sum = 0;
                    for (int64_t r = 0; r < s.kernel; ++r)
                        for (int64_t t = 0; t < s.kernel; ++t)
                            for (int64_t c = 0; c < s.in_channels; ++c) {
                                const int64_t h = p * s.stride - s.padding + r, v = q * s.stride - s.padding + t;
                                if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
                                sum += x[((n * s.height + h) * s.width + v) * s.in_channels + c] *
                                       w[((k * s.kernel + r) * s.kernel + t) * s.in_channels + c];
                            }
                    y.push_back(sum);
                }
    return y;
}

struct Moments {
    std::vector<double> mean, variance;

    Moments(const std::vector<double>& y, size_t channels) : mean(channels), variance(channels) {
        const double rows = static_cast<double>(y.size() / channels);
        for (size_t i = 0; i < y.size(); ++i) mean[i % channels] += y[i] / rows;
        for (size_t i = 0; i < y.size(); ++i)
            variance[i % channels] += (y[i] - mean[i % channels]) * (y[i] - mean[i % channels]) / rows;
    }
};

/// A convolution, batch norm with its batch's statistics, relu.
struct Composition {
    HostArray x, w, gamma, beta;
    Conv2dShape shape;

    std::vector<double> output() const {
        std::vector<double> y = convolved(x, w, shape);
        const auto channels = static_cast<size_t>(shape.out_channels);
        const Moments of_y(y, channels);
        for (size_t i = 0; i < y.size(); ++i) {
            const size_t k = i % channels;
            const double xhat = (y[i] - of_y.mean[k]) / std::sqrt(of_y.variance[k] + epsilon);
            y[i] = std::max(gamma.values[k] * xhat + beta.values[k], 0.0);
        }
        return y;
    }
};

TEST(Conv2dBnRelu, ReferenceStatisticsAreThoseOfTheConvolution) {
    std::vector<Case> all = cases;
    all.push_back({cases[2].shape, 30});
    for (const Case& c : all) {
        const Statistics statistics = run_reference(statistics_of(c));
        const Moments of_y(convolved(statistics.x, statistics.w, c.shape), static_cast<size_t>(c.shape.out_channels));
        EXPECT_TRUE(near_all(statistics.mean, of_y.mean, 1e-12)) << c.text();
        EXPECT_TRUE(near_all(statistics.variance, of_y.variance, 1e-12)) << c.text();
    }
}

TEST(Conv2dBnRelu, ReferenceGradientsAreFiniteDifferences) {
    for (const Case& c :
         {cases[2], cases[4], Case{shape_of({2, 5, 4, 1}, 3, 3, 2, 1)}, Case{shape_of({1, 6, 5, 1}, 2, 5, 1, 2), 3}}) {
        const Statistics statistics = run_reference(statistics_of(c));
        const Shape channels{c.shape.out_channels};
        Composition forward{.x = statistics.x,
                            .w = statistics.w,
                            .gamma = uniform_f32(channels, 8, 0.5, 2),
                            .beta = uniform_f32(channels, 9),
                            .shape = c.shape};
        HostArray inv_std = empty(channels), scale = empty(channels);
        for (int64_t k = 0; k < c.shape.out_channels; ++k) {
            inv_std[k] = 1 / std::sqrt(statistics.variance[k] + epsilon);
            scale[k] = forward.gamma[k] * inv_std[k];
        }
        inv_std.given = scale.given = true;
        Backward backward = backward_of(c);
        backward.a.values = forward.output();
        backward.mean = statistics.mean;
        backward.inv_std = inv_std;
        backward.scale = scale;
        const Backward done = run_reference(backward);
        const auto gradient = [&](HostArray& at) {
            return central_differences(at, [&] {
                const std::vector<double> a = forward.output();
                double loss = 0;
                for (size_t i = 0; i < a.size(); ++i) loss += a[i] * backward.da.values[i];
                return loss;
            });
        };
        EXPECT_TRUE(near_all(done.dx, gradient(forward.x))) << c.text();
        EXPECT_TRUE(near_all(done.dw, gradient(forward.w))) << c.text();
        EXPECT_TRUE(near_all(done.dgamma, gradient(forward.gamma))) << c.text();
        EXPECT_TRUE(near_all(done.dbeta, gradient(forward.beta))) << c.text();
    }
}

// ---- bits, NaN, shapes ----------------------------------------------------------------------------------------------

TEST(Conv2dBnRelu, SameBits) {
    expect_same_bits(statistics_of(cases[2]));
    expect_same_bits(backward_of(cases[2]));
}

TEST(Conv2dBnRelu, GradientsOfParametersDoNotDependOnWhetherDxIsWanted) {
    for (const Case& c : {cases[2], cases[4]}) {
        for_each_setting(true, [&](TestDevice& device, DType type) {
            Backward backward = rounded(backward_of(c), type);
            const Backward with_dx = run_on(device, type, backward);
            backward.dx = {};
            const Backward without = run_on(device, type, backward);
            EXPECT_EQ(with_dx.dw.values, without.dw.values) << c.text();
            EXPECT_EQ(with_dx.dgamma.values, without.dgamma.values) << c.text();
            EXPECT_EQ(with_dx.dbeta.values, without.dbeta.values) << c.text();
        });
    }
}

/// An overflow of half precision must reach the loss and not be hidden.
TEST(Conv2dBnRelu, NaNStaysNaN) {
    const Conv2dShape shape = shape_of({1, 4, 4, 1}, 4, 3, 1, 1);
    Statistics statistics = statistics_of({shape});
    statistics.x[5] = std::numeric_limits<double>::quiet_NaN();
    for_each_setting(true, [&](TestDevice& device, DType type) {
        for (const double value : run_on(device, type, rounded(statistics, type)).variance.values)
            EXPECT_TRUE(std::isnan(value));
    });
}

TEST(Conv2dBnRelu, WrongShapesAreRefused) {
    const Case& c = cases[3];
    Statistics statistics = statistics_of(c);
    statistics.w = uniform_f32({4, 3, 3, 2}, 2);
    expect_refused(statistics);
    statistics = statistics_of(c);
    statistics.moments = empty({9, 9});
    expect_refused(statistics);
    statistics = statistics_of(c);
    statistics.x = uniform_activation({2, 8, 7, 1}, 1);
    expect_refused(statistics);
    Backward backward = backward_of(c);
    backward.da = uniform_activation({2, 8, 6, 4}, 3);
    expect_refused(backward);
    backward = backward_of(c);
    backward.dx = empty_activation({2, 8, 6, 4});
    expect_refused(backward);
    backward = backward_of(c);
    backward.inv_std = uniform_f32({3}, 6);
    expect_refused(backward);
    backward = backward_of(c);
    backward.moments = uniform_f32({9, 9}, 1);
    expect_refused(backward);
}

} // namespace
} // namespace scene::test
