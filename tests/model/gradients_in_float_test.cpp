#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/small_step.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

/// Tests the gradient comparison of tests/gpu on the CPU alone. It must accept relu and pooling flips, and neither a
/// wrong gradient nor noise in a single step.
TEST(GradientsInFloat, AWrongOneIsFoundAndAFlipForgiven) {
    const auto gradients = [](float share) {
        SmallStep step(cpu(), small_step(&fcnn, false, true), Mode::Training);
        step.perturb_parameters(share);
        return gradients_at_rest(step, 4);
    };
    const std::vector<Gradients> expected = gradients(0), perturbed = gradients(flipping_share);
    EXPECT_NE(expected[0], expected[1]) << "steps differ";
    std::vector<Gradients> actual = gradients(1e-6f);
    EXPECT_TRUE(same_gradients_in_float(actual, expected, perturbed));
    std::vector<Gradients> flipped = perturbed; // includes the flips that occurred
    for (size_t i = 0; i < 2; ++i) flipped[i] = actual[i];
    EXPECT_TRUE(same_gradients_in_float(flipped, expected, perturbed));
    const auto longest = std::max_element(expected[0].begin(), expected[0].end(), [](const auto& a, const auto& b) {
        const auto square = [](const std::vector<float>& v) {
            return std::inner_product(v.begin(), v.end(), v.begin(), 0.0f);
        };
        return square(a.second) < square(b.second);
    });
    std::vector<Gradients> wrong = actual;
    for (Gradients& step : wrong)
        for (float& value : step[longest->first]) value *= 1.01f;
    EXPECT_FALSE(same_gradients_in_float(wrong, expected, perturbed)) << longest->first;
    std::vector<Gradients> noisy = actual;
    for (float& value : noisy[3][longest->first]) value *= -1;
    EXPECT_FALSE(same_gradients_in_float(noisy, expected, perturbed));
    noisy[3][longest->first][0] = std::nanf("");
    EXPECT_FALSE(same_gradients_in_float(noisy, expected, perturbed));
}

} // namespace
} // namespace scene::test
