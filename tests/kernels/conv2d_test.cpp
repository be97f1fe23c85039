// The convolution ops against a naive reference in double: every algorithm of the backend, odd shapes, and what the
// interface promises besides the values (scratch, repetition, epilogues).

#include <algorithm>
#include <cstring>
#include <random>

#include "kernels/backend.h"
#include "tests/support/compare.h"

namespace scene {
namespace {

using test::all_close;

std::vector<float> random_values(int64_t count, uint32_t seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = normal(generator);
    return values;
}

Tensor view(std::vector<float>& values, const Shape& shape) { return {values.data(), DType::F32, shape}; }

/// Calls visit(y index, x index, w index) for every multiply-add of the convolution.
template <typename Visit> void for_each_product(const Conv2dShape& s, Visit&& visit) {
    for (int64_t n = 0; n < s.batch; ++n)
        for (int64_t p = 0; p < s.out_height(); ++p)
            for (int64_t q = 0; q < s.out_width(); ++q)
                for (int64_t r = 0; r < s.kernel; ++r)
                    for (int64_t t = 0; t < s.kernel; ++t) {
                        const int64_t h = p * s.stride - s.padding + r, v = q * s.stride - s.padding + t;
                        if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
                        const int64_t x = ((n * s.height + h) * s.width + v) * s.in_channels;
                        const int64_t y = ((n * s.out_height() + p) * s.out_width() + q) * s.out_channels;
                        for (int64_t k = 0; k < s.out_channels; ++k)
                            for (int64_t c = 0; c < s.in_channels; ++c)
                                visit(y + k, x + c, ((k * s.kernel + r) * s.kernel + t) * s.in_channels + c);
                    }
}

/// Operands of one case, scratch with sentinels behind it, outputs that start as NaN.
class Conv2d : public testing::TestWithParam<Conv2dShape> {
protected:
    const Conv2dShape shape = GetParam();
    std::unique_ptr<Backend> backend = make_cpu_backend(2);
    std::vector<float> x = random_values(shape.x().elements(), 1), dy = random_values(shape.y().elements(), 2),
                       w = random_values(shape.w().elements(), 3);
    std::vector<float> y = unset(shape.y()), dx = unset(shape.x()), dw = unset(shape.w());
    std::vector<uint8_t> scratch_memory;

    static std::vector<float> unset(const Shape& shape) {
        return std::vector<float>(static_cast<size_t>(shape.elements()), NAN);
    }

    /// Exactly as many bytes as asked for, filled with NaN, with a sentinel on either side.
    Tensor scratch(ConvPass pass) {
        const size_t bytes = backend->conv2d_scratch_bytes(shape, pass);
        scratch_memory.assign(bytes + 2 * margin, 0xff);
        return {aligned_start(), DType::U8, {static_cast<int64_t>(bytes)}};
    }
    testing::AssertionResult scratch_margins_untouched(Tensor scratch) {
        const uint8_t* first = static_cast<uint8_t*>(scratch.data);
        for (const uint8_t* p = scratch_memory.data(); p != scratch_memory.data() + scratch_memory.size(); ++p) {
            if (p >= first && p < first + scratch.bytes()) continue;
            if (*p != 0xff) return testing::AssertionFailure() << "byte " << p - first << " of the scratch was written";
        }
        return testing::AssertionSuccess();
    }
    std::vector<double> zeros(const Shape& of) { return std::vector<double>(static_cast<size_t>(of.elements())); }

    /// What one convolution may add, of the largest value, for a whole model to stay within 1e-4 of PyTorch. Measured
    /// at the models' full shapes: at most 3.4e-6 by Winograd, 1.8e-6 by direct sums (kernels/cpu/conv2d.cpp).
    static constexpr double tolerance = 5e-6;

private:
    static constexpr size_t margin = 4096;
    uint8_t* aligned_start() {
        const auto address = reinterpret_cast<uintptr_t>(scratch_memory.data());
        return scratch_memory.data() + ((address + 511) / 256 * 256 - address);
    }
};

TEST_P(Conv2d, ForwardIsTheSumOfProducts) {
    std::vector<double> expected = zeros(shape.y());
    for_each_product(shape, [&](int64_t i, int64_t j, int64_t k) { expected[i] += double{x[j]} * double{w[k]}; });
    const Tensor memory = scratch(ConvPass::Forward);
    backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), memory, shape, {});
    EXPECT_TRUE(all_close(std::span(y), std::span(expected), {.of_largest = tolerance}));
    EXPECT_TRUE(scratch_margins_untouched(memory));
}

TEST_P(Conv2d, ForwardAddsBiasAndClipsAtZero) {
    std::vector<float> bias = random_values(shape.out_channels, 4);
    std::vector<double> expected = zeros(shape.y());
    for_each_product(shape, [&](int64_t i, int64_t j, int64_t k) { expected[i] += double{x[j]} * double{w[k]}; });
    double largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] += double{bias[i % bias.size()]};
        largest = std::max(largest, std::abs(expected[i]));
    }
    for (const bool relu : {false, true}) {
        y = unset(shape.y());
        if (relu)
            for (double& value : expected) value = std::max(value, 0.0);
        ConvExtras extras;
        extras.bias = view(bias, {shape.out_channels});
        extras.relu = relu;
        const Tensor memory = scratch(ConvPass::Forward);
        backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), memory, shape, extras);
        EXPECT_TRUE(all_close(std::span(y), std::span(expected), {.absolute = tolerance * largest}));
        EXPECT_TRUE(scratch_margins_untouched(memory));
    }
}

TEST_P(Conv2d, NormalisesItsInputWhereOffered) {
    if (!backend->conv2d_fusion(shape).normalize_input) GTEST_SKIP() << "not offered for this shape";
    std::vector<float> scale = random_values(shape.in_channels, 4), shift = random_values(shape.in_channels, 5);
    std::vector<double> z(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        const size_t c = i % scale.size();
        z[i] = std::max(double{scale[c]} * double{x[i]} + double{shift[c]}, 0.0);
    }
    std::vector<double> expected_y = zeros(shape.y()), expected_dw = zeros(shape.w());
    for_each_product(shape, [&](int64_t i, int64_t j, int64_t k) {
        expected_y[i] += z[j] * double{w[k]};
        expected_dw[k] += double{dy[i]} * z[j];
    });
    ConvExtras extras;
    extras.input_scale = view(scale, {shape.in_channels});
    extras.input_shift = view(shift, {shape.in_channels});
    backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), scratch(ConvPass::Forward),
                            shape, extras);
    EXPECT_TRUE(all_close(std::span(y), std::span(expected_y), {.of_largest = tolerance}));
    backend->conv2d_weight_grad(view(dw, shape.w()), view(dy, shape.y()), view(x, shape.x()),
                                scratch(ConvPass::WeightGrad), shape, extras.input_scale, extras.input_shift);
    EXPECT_TRUE(all_close(std::span(dw), std::span(expected_dw), {.of_largest = tolerance}));
}

TEST_P(Conv2d, StatisticsAreThoseOfTheOutputWhereOffered) {
    if (!backend->conv2d_fusion(shape).statistics) GTEST_SKIP() << "not offered for this shape";
    std::vector<float> bias(static_cast<size_t>(shape.out_channels), 1000); // a mean far from zero
    std::vector<float> mean = unset({shape.out_channels}), variance = unset({shape.out_channels});
    for (const bool far : {false, true}) {
        ConvExtras extras;
        extras.mean = view(mean, {shape.out_channels});
        extras.variance = view(variance, {shape.out_channels});
        if (far) extras.bias = view(bias, {shape.out_channels});
        const Tensor memory = scratch(ConvPass::Forward);
        backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), memory, shape, extras);
        EXPECT_TRUE(scratch_margins_untouched(memory));
        const size_t channels = mean.size(), rows = y.size() / channels;
        std::vector<double> expected_mean(channels), expected_variance(channels);
        for (size_t i = 0; i < y.size(); ++i) expected_mean[i % channels] += double{y[i]} / static_cast<double>(rows);
        for (size_t i = 0; i < y.size(); ++i) {
            const double difference = double{y[i]} - expected_mean[i % channels];
            expected_variance[i % channels] += difference * difference / static_cast<double>(rows);
        }
        // Against the very values of y: what is left is the rounding of sums of up to 100 terms in a chain, each of
        // about a standard deviation: eps/2*sqrt(100) of it, and twice that for its square.
        const double largest = *std::max_element(expected_variance.begin(), expected_variance.end());
        const double of_mean = far ? 1000 * 0x1p-24 : 0; // the mean itself is rounded
        EXPECT_TRUE(
            all_close(std::span(mean), std::span(expected_mean), {.absolute = 6e-7 * std::sqrt(largest) + of_mean}));
        EXPECT_TRUE(all_close(std::span(variance), std::span(expected_variance), {.of_largest = 1.2e-6}));
    }
}

TEST_P(Conv2d, DataGradIsTheAdjoint) {
    std::vector<double> expected = zeros(shape.x());
    for_each_product(shape, [&](int64_t i, int64_t j, int64_t k) { expected[j] += double{dy[i]} * double{w[k]}; });
    const Tensor memory = scratch(ConvPass::DataGrad);
    backend->conv2d_data_grad(view(dx, shape.x()), view(dy, shape.y()), view(w, shape.w()), memory, shape);
    EXPECT_TRUE(all_close(std::span(dx), std::span(expected), {.of_largest = tolerance}));
    EXPECT_TRUE(scratch_margins_untouched(memory));
}

TEST_P(Conv2d, WeightGradIsTheAdjoint) {
    std::vector<double> expected = zeros(shape.w());
    for_each_product(shape, [&](int64_t i, int64_t j, int64_t k) { expected[k] += double{dy[i]} * double{x[j]}; });
    const Tensor memory = scratch(ConvPass::WeightGrad);
    backend->conv2d_weight_grad(view(dw, shape.w()), view(dy, shape.y()), view(x, shape.x()), memory, shape, {}, {});
    EXPECT_TRUE(all_close(std::span(dw), std::span(expected), {.of_largest = tolerance}));
    EXPECT_TRUE(scratch_margins_untouched(memory));
}

TEST_P(Conv2d, ThreadCountDoesNotChangeTheBits) {
    const bool has_statistics = backend->conv2d_fusion(shape).statistics;
    const auto run = [&](int threads) {
        backend = make_cpu_backend(threads);
        std::vector<float> mean = unset({shape.out_channels}), variance = unset({shape.out_channels});
        ConvExtras extras;
        if (has_statistics) {
            extras.mean = view(mean, {shape.out_channels});
            extras.variance = view(variance, {shape.out_channels});
        }
        y = unset(shape.y()), dx = unset(shape.x()), dw = unset(shape.w());
        backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), scratch(ConvPass::Forward),
                                shape, extras);
        backend->conv2d_data_grad(view(dx, shape.x()), view(dy, shape.y()), view(w, shape.w()),
                                  scratch(ConvPass::DataGrad), shape);
        backend->conv2d_weight_grad(view(dw, shape.w()), view(dy, shape.y()), view(x, shape.x()),
                                    scratch(ConvPass::WeightGrad), shape, {}, {});
        std::vector<float> all;
        for (const auto* part : {&y, &dx, &dw}) all.insert(all.end(), part->begin(), part->end());
        if (has_statistics)
            for (const auto* part : {&mean, &variance}) all.insert(all.end(), part->begin(), part->end());
        return all;
    };
    const std::vector<float> one = run(1), three = run(3);
    EXPECT_EQ(0, std::memcmp(one.data(), three.data(), one.size() * sizeof(float)));
}

TEST_P(Conv2d, RepetitionGivesTheSameBits) {
    const std::vector<float> first_y = [&] {
        backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), scratch(ConvPass::Forward),
                                shape, {});
        return std::exchange(y, unset(shape.y()));
    }();
    backend->conv2d_forward(view(y, shape.y()), view(x, shape.x()), view(w, shape.w()), scratch(ConvPass::Forward),
                            shape, {});
    EXPECT_EQ(0, std::memcmp(first_y.data(), y.data(), y.size() * sizeof(float)));
    const auto gradients = [&] {
        dx = unset(shape.x()), dw = unset(shape.w());
        backend->conv2d_data_grad(view(dx, shape.x()), view(dy, shape.y()), view(w, shape.w()),
                                  scratch(ConvPass::DataGrad), shape);
        backend->conv2d_weight_grad(view(dw, shape.w()), view(dy, shape.y()), view(x, shape.x()),
                                    scratch(ConvPass::WeightGrad), shape, {}, {});
    };
    gradients();
    const std::vector<float> first_dx = dx, first_dw = dw;
    gradients();
    EXPECT_EQ(0, std::memcmp(first_dx.data(), dx.data(), dx.size() * sizeof(float)));
    EXPECT_EQ(0, std::memcmp(first_dw.data(), dw.data(), dw.size() * sizeof(float)));
}

std::string name_of_case(const testing::TestParamInfo<Conv2dShape>& info) {
    const Conv2dShape& s = info.param;
    return fmt::format("n{}_{}x{}_c{}_k{}_{}x{}_stride{}_pad{}", s.batch, s.height, s.width, s.in_channels,
                       s.out_channels, s.kernel, s.kernel, s.stride, s.padding);
}

// {batch, height, width, in, out, kernel, stride, padding}: layers of the models at reduced size, then the corners.
INSTANTIATE_TEST_SUITE_P(Shapes, Conv2d,
                         testing::Values(Conv2dShape{3, 37, 21, 1, 144, 5, 2, 2},
                                         Conv2dShape{1, 103, 9, 1, 24, 5, 2, 2}, Conv2dShape{3, 19, 11, 3, 40, 3, 1, 1},
                                         Conv2dShape{1, 9, 7, 3, 9, 5, 2, 2}, Conv2dShape{1, 55, 6, 1, 18, 3, 1, 1},
                                         Conv2dShape{2, 21, 16, 144, 144, 3, 1, 1},
                                         Conv2dShape{1, 13, 8, 144, 288, 3, 1, 1},
                                         Conv2dShape{3, 17, 9, 18, 40, 3, 1, 1}, Conv2dShape{1, 5, 3, 40, 9, 3, 1, 1},
                                         Conv2dShape{3, 31, 13, 24, 24, 3, 1, 1}, Conv2dShape{1, 1, 1, 24, 18, 3, 1, 1},
                                         Conv2dShape{3, 7, 5, 24, 18, 3, 2, 1}, Conv2dShape{1, 9, 9, 40, 40, 5, 1, 2},
                                         Conv2dShape{3, 31, 4, 144, 128, 1, 1, 0}, Conv2dShape{1, 7, 3, 24, 9, 1, 1, 0},
                                         Conv2dShape{5, 41, 16, 8, 8, 3, 1, 1}, Conv2dShape{34, 11, 6, 8, 16, 3, 1, 1}),
                         name_of_case);

/// With fewer channels than 16, the most lanes a processor has, it depends on the vector width.
TEST(Conv2dFusions, AreOfferedForTheModelsConvolutionsOnEveryProcessor) {
    struct Case {
        Conv2dShape shape;
        bool normalize_input, statistics;
    };
    const std::vector<Case> cases{
        {{2, 21, 16, 144, 144, 3, 1, 1}, true, true}, {{3, 31, 13, 16, 16, 3, 1, 1}, true, true},
        {{3, 37, 21, 1, 144, 5, 2, 2}, false, true},  {{3, 19, 11, 3, 40, 3, 1, 1}, false, true},
        {{3, 7, 5, 24, 18, 3, 2, 1}, false, false},   {{1, 9, 9, 40, 40, 5, 1, 2}, false, false},
        {{3, 31, 4, 144, 128, 1, 1, 0}, false, false}};
    const auto backend = make_cpu_backend(1);
    for (const auto& [shape, normalize_input, statistics] : cases) {
        const ConvFusion offered = backend->conv2d_fusion(shape);
        EXPECT_EQ(offered.normalize_input, normalize_input) << shape.x().text() << " * " << shape.w().text();
        EXPECT_EQ(offered.statistics, statistics) << shape.x().text() << " * " << shape.w().text();
        EXPECT_TRUE(offered.bias_relu) << shape.x().text() << " * " << shape.w().text();
    }
}

TEST(Conv2dPreparedWeights, GiveTheSameBitsWithLessScratch) {
    const auto backend = make_cpu_backend(2);
    for (const Conv2dShape& shape : {Conv2dShape{2, 21, 16, 144, 144, 3, 1, 1}, Conv2dShape{1, 9, 13, 16, 100, 3, 1, 1},
                                     Conv2dShape{1, 30, 30, 33, 17, 3, 1, 1}}) {
        const std::string name = shape.x().text() + " * " + shape.w().text();
        const PreparedWeights form = backend->conv2d_prepared_weights(shape);
        ASSERT_GT(form.floats, 0) << name;
        const size_t usual = backend->conv2d_scratch_bytes(shape, ConvPass::Forward);
        EXPECT_EQ(form.scratch_bytes + static_cast<size_t>(form.floats) * sizeof(float), usual) << name;
        std::vector<float> x = random_values(shape.x().elements(), 1), w = random_values(shape.w().elements(), 2),
                           bias = random_values(shape.out_channels, 3), prepared(static_cast<size_t>(form.floats)),
                           expected(static_cast<size_t>(shape.y().elements()), NAN), actual = expected;
        std::vector<uint8_t> scratch(usual);
        const auto memory = [&](size_t bytes) {
            return Tensor{scratch.data(), DType::U8, {static_cast<int64_t>(bytes)}};
        };
        ConvExtras extras;
        extras.bias = view(bias, {shape.out_channels});
        extras.relu = true;
        backend->conv2d_forward(view(expected, shape.y()), view(x, shape.x()), view(w, shape.w()), memory(usual), shape,
                                extras);
        extras.prepared_weights = view(prepared, {form.floats});
        backend->conv2d_prepare_weights(extras.prepared_weights, view(w, shape.w()), shape);
        backend->conv2d_forward(view(actual, shape.y()), view(x, shape.x()), {}, memory(form.scratch_bytes), shape,
                                extras);
        EXPECT_EQ(actual, expected) << name;
    }
}

TEST(Conv2dPreparedWeights, AreOfferedWhereMakingThemIsAGoodPartOfTheWork) {
    const auto backend = make_cpu_backend(1);
    EXPECT_GT(backend->conv2d_prepared_weights({16, 62, 8, 576, 576, 3, 1, 1}).floats, 0);
    EXPECT_EQ(backend->conv2d_prepared_weights({16, 500, 64, 64, 64, 3, 1, 1}).floats, 0) << "many tiles";
    EXPECT_EQ(backend->conv2d_prepared_weights({1, 62, 8, 64, 128, 1, 1, 0}).floats, 0) << "another algorithm";
    std::vector<float> w(64 * 64), y(8 * 64), x(8 * 64), prepared(64 * 64);
    const Conv2dShape shape{1, 4, 2, 64, 64, 1, 1, 0};
    EXPECT_THROW(backend->conv2d_prepare_weights(view(prepared, {64 * 64}), view(w, shape.w()), shape),
                 std::logic_error);
}

TEST(Conv2dFold, ScalesEachOutputChannel) {
    std::vector<float> w = random_values(3 * 5 * 5 * 7, 5), scale = {2, -0.5f, 0}, folded(w.size(), NAN);
    make_cpu_backend(2)->fold_conv_weights(view(folded, {3, 5, 5, 7}), view(w, {3, 5, 5, 7}), view(scale, {3}));
    std::vector<float> expected(w.size());
    for (size_t i = 0; i < w.size(); ++i) expected[i] = w[i] * scale[i / (5 * 5 * 7)];
    EXPECT_TRUE(all_close(std::span(folded), std::span(expected), {}));
}

TEST(Conv2dChecks, WrongOperandsSayWhatWasExpected) {
    const Conv2dShape shape{1, 4, 4, 16, 16, 3, 1, 1};
    const auto backend = make_cpu_backend(1);
    std::vector<float> x(4 * 4 * 16), w(16 * 9 * 16), y(4 * 4 * 16);
    EXPECT_THROW(
        backend->conv2d_forward(view(y, {1, 4, 4, 16}), view(x, {1, 4, 8, 8}), view(w, {16, 3, 3, 16}), {}, shape, {}),
        std::logic_error);
    EXPECT_THROW(backend->conv2d_scratch_bytes({1, 2, 2, 16, 16, 5, 1, 0}, ConvPass::Forward), std::logic_error);
}

} // namespace
} // namespace scene
