// The comparator must be able to fail.
#include "tests/support/compare.h"

#include <limits>
#include <vector>

#include "tests/support/gradients.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();
const std::vector<double> expected{1, -2, 3, 0.5};

bool passes(const std::vector<float>& actual, const std::vector<double>& wanted = expected,
            Tolerance tolerance = {.absolute = 1e-6}) {
    return static_cast<bool>(
        all_close(std::span<const float>(actual), std::span<const double>(wanted), tolerance, "negative test"));
}

TEST(Compare, PassesWhatIsClose) {
    EXPECT_TRUE(passes({1, -2, 3, 0.5f}));
    EXPECT_TRUE(passes({1.0000005f, -2, 3, 0.5f}));
    EXPECT_TRUE(passes({1, -2, 3, 0.5f}, expected, {}));
}

TEST(Compare, FailsNanAndInfinityWhateverTheTolerance) {
    const Tolerance wide{.absolute = std::numeric_limits<double>::infinity(), .relative = 1e30, .of_largest = 1e30};
    EXPECT_FALSE(passes({1, nan, 3, 0.5f}, expected, wide));
    EXPECT_FALSE(passes({1, infinity, 3, 0.5f}, expected, wide));
    EXPECT_FALSE(passes({1, -infinity, 3, 0.5f}, expected, wide));
    EXPECT_FALSE(passes({nan, nan, nan, nan}, expected, wide));
    EXPECT_FALSE(passes({1, -2, 3, 0.5f}, {1, std::nan(""), 3, 0.5}, wide));
    EXPECT_FALSE(passes({1, nan, 3, 0.5f}, {1, std::nan(""), 3, 0.5}, wide));
    EXPECT_FALSE(passes({infinity}, {std::numeric_limits<double>::infinity()}, wide));
    EXPECT_FALSE(passes({2}, {1}, {.absolute = std::nan("")}));
}

TEST(Compare, FailsOneWrongElementAndAllWrong) {
    EXPECT_FALSE(passes({1, -2, 3.001f, 0.5f}));
    EXPECT_FALSE(passes({1, 2, 3, 0.5f}));
    EXPECT_FALSE(passes({0, 0, 0, 0}));
    EXPECT_FALSE(passes({-1, 2, -3, -0.5f}));
    EXPECT_FALSE(passes({2, 2}, {1, 1}, {}));
}

TEST(Compare, FailsEmptyAndOtherSizes) {
    EXPECT_FALSE(passes({}, {}));
    EXPECT_FALSE(passes({}));
    EXPECT_FALSE(passes({1, -2, 3}));
    EXPECT_FALSE(passes({1, -2, 3, 0.5f, 0}));
}

TEST(Compare, NamesTheWorstElement) {
    const std::vector<float> actual{1, -2, 4, 0.75f};
    const testing::AssertionResult result =
        all_close(std::span<const float>(actual), std::span<const double>(expected), {.absolute = 0.1}, "label");
    const std::string message = result.message();
    EXPECT_NE(message.find("label"), std::string::npos);
    EXPECT_NE(message.find("2 of 4"), std::string::npos);
    EXPECT_NE(message.find("worst at 2: 4, expected 3"), std::string::npos);
}

TEST(Compare, EachToleranceCounts) {
    EXPECT_TRUE(passes({1, -2.1f, 3, 0.5f}, expected, {.relative = 0.06}));
    EXPECT_FALSE(passes({1, -2.1f, 3, 0.5f}, expected, {.relative = 0.04}));
    EXPECT_TRUE(passes({1, -2.1f, 3, 0.5f}, expected, {.of_largest = 0.04}));
    EXPECT_FALSE(passes({1, -2.1f, 3, 0.5f}, expected, {.of_largest = 0.03}));
}

TEST(FiniteDifferences, OfAPolynomial) {
    const auto loss = [](const std::vector<double>& x) { return x[0] * x[0] * x[1] + 3 * x[1]; };
    const std::vector<double> gradient = finite_differences({2, -1}, loss), exact{-4, 7};
    EXPECT_TRUE(all_close(std::span<const double>(gradient), std::span<const double>(exact), {.absolute = 1e-8}));
    EXPECT_FALSE(
        all_close(std::span<const double>(gradient), std::span<const double>(expected).first(2), {.absolute = 1e-8}));
}

TEST(GuardedTensor, StartsAsNan) {
    const Guarded tensor({3, 5});
    for (const float value : tensor.floats()) EXPECT_TRUE(std::isnan(value));
    EXPECT_FALSE(close(tensor, std::vector<double>(15, 0.0), {.absolute = 1e9}, "untouched"));
}

} // namespace
} // namespace scene::test
