// The linear ops against a naive reference in double.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "kernels/backend.h"
#include "kernels/philox.h"
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

struct Extents {
    int64_t rows, in, out;
};

class Linear : public testing::TestWithParam<Extents> {
protected:
    const int64_t rows = GetParam().rows, in = GetParam().in, out = GetParam().out;
    std::unique_ptr<Backend> backend = make_cpu_backend(2);
    std::vector<float> x = random_values(rows * in, 1), w = random_values(out * in, 2), bias = random_values(out, 3),
                       dy = random_values(rows * out, 4);
    std::vector<float> y = unset(rows * out);
    StepControl step{.seed = 77, .step = 5};
    Tensor control{&step, DType::U8, {sizeof(StepControl)}};

    /// Weights that give sums of unit variance.
    void SetUp() override {
        for (float& value : w) value /= std::sqrt(static_cast<float>(in));
    }
    static std::vector<float> unset(int64_t count) { return std::vector<float>(static_cast<size_t>(count), NAN); }

    void forward(Activation activation, Dropout dropout) {
        y = unset(rows * out);
        backend->linear_forward(view(y, {rows, out}), view(x, {rows, in}), view(w, {out, in}), view(bias, {out}),
                                activation, dropout, control);
    }
    bool dropped(int64_t index, Dropout dropout) const {
        return random_word(step.seed, dropout.stream, step.step, static_cast<uint64_t>(index)) <
               dropout_threshold(dropout.p);
    }
    double pre_activation(int64_t index) const {
        double sum = double{bias[index % out]};
        for (int64_t i = 0; i < in; ++i) sum += double{x[index / out * in + i]} * double{w[index % out * in + i]};
        return sum;
    }
    static double activated(double value, Activation activation) {
        if (activation == Activation::Relu) return std::max(value, 0.0);
        return activation == Activation::Sigmoid ? 1 / (1 + std::exp(-value)) : value;
    }

    /// A chain of up to 400 rounded multiply-adds of unit variance, against the largest of the sums.
    static constexpr double tolerance = 2e-6;
};

TEST_P(Linear, ForwardIsActivationOfProductThenDropout) {
    for (const Activation activation : {Activation::None, Activation::Relu, Activation::Sigmoid}) {
        for (const Dropout dropout : {Dropout{}, Dropout{0.3f, 9}}) {
            forward(activation, dropout);
            std::vector<double> expected(y.size());
            for (int64_t i = 0; i < rows * out; ++i) {
                if (!dropped(i, dropout))
                    expected[i] = activated(pre_activation(i), activation) / (1 - double{dropout.p});
            }
            EXPECT_TRUE(all_close(std::span(y), std::span(expected), {.of_largest = tolerance}));
            for (int64_t i = 0; dropout.p > 0 && i < rows * out; ++i) {
                if (dropped(i, dropout)) { ASSERT_EQ(y[i], 0) << "element " << i << " should be dropped"; }
            }
        }
    }
}

TEST_P(Linear, BiasMayBeAbsent) {
    backend->linear_forward(view(y, {rows, out}), view(x, {rows, in}), view(w, {out, in}), {}, Activation::None, {},
                            {});
    std::vector<double> expected(y.size());
    for (int64_t i = 0; i < rows * out; ++i) expected[i] = pre_activation(i) - double{bias[i % out]};
    EXPECT_TRUE(all_close(std::span(y), std::span(expected), {.of_largest = tolerance}));
}

TEST_P(Linear, ActivationBackwardIsTheSlopeUnderTheSameMask) {
    for (const Activation activation : {Activation::None, Activation::Relu, Activation::Sigmoid}) {
        for (const Dropout dropout : {Dropout{}, Dropout{0.3f, 9}}) {
            forward(activation, dropout);
            std::vector<double> expected(y.size());
            for (int64_t i = 0; i < rows * out; ++i) {
                const double pre = pre_activation(i), value = activated(pre, activation);
                const double slope = activation == Activation::None   ? 1
                                     : activation == Activation::Relu ? (y[i] > 0 ? 1 : 0)
                                                                      : value * (1 - value);
                if (!dropped(i, dropout)) expected[i] = double{dy[i]} * slope / (1 - double{dropout.p});
            }
            std::vector<float> dpre = dy; // in place
            backend->linear_activation_backward(view(dpre, {rows, out}), view(dpre, {rows, out}), view(y, {rows, out}),
                                                activation, dropout, control);
            EXPECT_TRUE(all_close(std::span(dpre), std::span(expected), {.of_largest = tolerance}));
        }
    }
}

TEST_P(Linear, DataGradIsTheAdjointAndAccumulatesWhenAsked) {
    std::vector<double> expected(x.size());
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t o = 0; o < out; ++o)
            for (int64_t i = 0; i < in; ++i)
                expected[row * in + i] += double{dy[row * out + o]} * double{w[o * in + i]};
    std::vector<float> dx = unset(rows * in);
    backend->linear_data_grad(view(dx, {rows, in}), view(dy, {rows, out}), view(w, {out, in}), false);
    EXPECT_TRUE(all_close(std::span(dx), std::span(expected), {.of_largest = tolerance}));
    dx = x;
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += double{x[i]};
    backend->linear_data_grad(view(dx, {rows, in}), view(dy, {rows, out}), view(w, {out, in}), true);
    EXPECT_TRUE(all_close(std::span(dx), std::span(expected), {.of_largest = tolerance}));
}

TEST_P(Linear, WeightGradIsTheAdjointWithColumnSums) {
    std::vector<double> expected(w.size()), sums(bias.size());
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t o = 0; o < out; ++o) {
            sums[o] += double{dy[row * out + o]};
            for (int64_t i = 0; i < in; ++i)
                expected[o * in + i] += double{dy[row * out + o]} * double{x[row * in + i]};
        }
    std::vector<float> dw = unset(out * in), dbias = unset(out);
    backend->linear_weight_grad(view(dw, {out, in}), view(dbias, {out}), view(dy, {rows, out}), view(x, {rows, in}));
    EXPECT_TRUE(all_close(std::span(dw), std::span(expected), {.of_largest = tolerance}));
    EXPECT_TRUE(all_close(std::span(dbias), std::span(sums), {.of_largest = tolerance}));
    std::vector<float> again = unset(out * in);
    backend->linear_weight_grad(view(again, {out, in}), {}, view(dy, {rows, out}), view(x, {rows, in}));
    EXPECT_EQ(0, std::memcmp(dw.data(), again.data(), dw.size() * sizeof(float)));
}

TEST_P(Linear, ThreadCountDoesNotChangeTheBits) {
    forward(Activation::Relu, {0.3f, 9});
    const std::vector<float> with_two = y;
    backend = make_cpu_backend(1);
    forward(Activation::Relu, {0.3f, 9});
    EXPECT_EQ(0, std::memcmp(with_two.data(), y.data(), y.size() * sizeof(float)));
}

INSTANTIATE_TEST_SUITE_P(Extents, Linear,
                         testing::Values(Extents{48, 128, 384}, Extents{16, 128, 10}, Extents{3, 9, 16},
                                         Extents{1, 1, 1}, Extents{131, 40, 33}),
                         [](const auto& info) {
                             return fmt::format("{}x{}to{}", info.param.rows, info.param.in, info.param.out);
                         });

TEST(LinearChecks, WrongOperandsSayWhatWasExpected) {
    std::vector<float> x(6), w(8), y(12);
    EXPECT_THROW(make_cpu_backend(1)->linear_forward(view(y, {3, 4}), view(x, {2, 3}), view(w, {4, 2}), {},
                                                     Activation::None, {}, {}),
                 std::logic_error);
}

} // namespace
} // namespace scene
