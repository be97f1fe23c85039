#include "tests/support/op_test.h"

namespace scene::test {
namespace {

constexpr LossScaling scaling{.first = 8, .least = 1, .most = 16, .patience = 2};

/// The reference's result, which every device must match.
StepControl adjusted(const StepControl& control) {
    const AdjustLossScale<HostArray> op{.control = control_of(control), .scaling = scaling};
    expect_like_reference(op);
    return control_in(run_reference(op).control);
}

TEST(AdjustLossScale, DoublesAfterGoodSteps) {
    StepControl control = adjusted({.seed = 5, .step = 3, .cursor = 64, .learning_rate = 0.5f, .loss_scale = 4});
    EXPECT_EQ(control.good_steps, 1u);
    EXPECT_EQ(control.loss_scale, 4.0f);
    control = adjusted(control);
    EXPECT_EQ(control.good_steps, 0u);
    EXPECT_EQ(control.loss_scale, 8.0f);
    control = adjusted(adjusted(control));
    EXPECT_EQ(control.loss_scale, 16.0f);
    control = adjusted(adjusted(control));
    EXPECT_EQ(control.loss_scale, 16.0f) << "the most";
    EXPECT_EQ(control.good_steps, 0u);
    EXPECT_EQ(control.seed, 5u);
    EXPECT_EQ(control.step, 3u);
    EXPECT_EQ(control.cursor, 64u);
    EXPECT_EQ(control.learning_rate, 0.5f);
}

TEST(AdjustLossScale, HalvesAfterASkippedStep) {
    StepControl control{.loss_scale = 16, .good_steps = 1};
    for (const float scale : {8.0f, 4.0f, 2.0f, 1.0f}) {
        control.nonfinite = 1;
        control = adjusted(control);
        EXPECT_EQ(control.loss_scale, scale);
        EXPECT_EQ(control.nonfinite, 0u);
        EXPECT_EQ(control.good_steps, 0u) << "the steps before it do not count";
        control = adjusted(control);
        EXPECT_EQ(control.good_steps, 1u);
    }
    control.nonfinite = 1;
    control = adjusted(control);
    EXPECT_EQ(control.nonfinite, 1u) << "at the least scale the gradient is broken";
    EXPECT_EQ(control.loss_scale, 1.0f);
    EXPECT_EQ(control.good_steps, 0u);
}

TEST(AdjustLossScale, IsNeverBelowTheLeast) {
    EXPECT_EQ(adjusted({.loss_scale = 1.5f, .nonfinite = 1}).loss_scale, 1.0f);
    EXPECT_EQ(adjusted({.loss_scale = 12, .good_steps = 1}).loss_scale, 16.0f);
}

TEST(AdjustLossScale, WithoutAControlIsRefused) {
    expect_refused(AdjustLossScale<HostArray>{.control = HostArray()});
    expect_refused(AdjustLossScale<HostArray>{.control = with_values({8}, std::vector<double>(8), DType::U8)});
}

} // namespace
} // namespace scene::test
