#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Decay = WeightDecay<HostArray>;

Decay decay_of(const Shape& shape, const StepControl& control, float rate) {
    return {.parameters = uniform_f32(shape, 1),
            .parameters_half =
                with_values(shape, std::vector<double>(static_cast<size_t>(shape.elements()), 7), DType::F16),
            .control = control_of(control),
            .rate = rate};
}

TEST(WeightDecay, EqualsTheReference) {
    for (const Shape& shape : {Shape{1}, Shape{9}, Shape{1003}, Shape{4096}, Shape{7, 3, 3, 5}, Shape{70001}})
        expect_like_reference(decay_of(shape, {.learning_rate = 1e-3f}, 0.05f), shape.text());
}

TEST(WeightDecay, TakesTheProductOfLearningRateAndRate) {
    Decay op = decay_of({4}, {.learning_rate = 0.5f}, 0.25f);
    op.parameters = with_values({4}, {8, -16, 0, 1024});
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const Decay done = run_on(device, type, op);
        EXPECT_EQ(done.parameters.values, (std::vector<double>{7, -14, 0, 896}));
        EXPECT_EQ(done.parameters_half.values, done.parameters.values);
    });
}

/// A decay of 1e-7 is less than two ulps below 1.
TEST(WeightDecay, ASmallRateIsNotRounded) {
    Decay op = decay_of({4096}, {.learning_rate = 1e-4f}, 1e-3f);
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const Decay done = run_on(device, type, op);
        double before = 0, gone = 0;
        for (int64_t i = 0; i < done.parameters.size(); ++i) {
            before += std::abs(op.parameters[i]);
            gone += std::abs(op.parameters[i]) - std::abs(done.parameters[i]);
        }
        EXPECT_NEAR(gone / before, 1e-7, 0.1e-7);
    });
}

TEST(WeightDecay, TheHalfCopyIsThatOfTheParameters) {
    for_each_setting(false, [](TestDevice& device, DType type) {
        Decay op = decay_of({1003}, {.learning_rate = 0.1f}, 0.1f);
        for (const DType half : {DType::F16, DType::BF16}) {
            op.parameters_half.dtype = half;
            const Decay done = run_on(device, type, op);
            EXPECT_EQ(done.parameters_half.values, stored_as(half, done.parameters.values)) << name_of(half);
            Decay alone = op;
            alone.parameters_half = HostArray();
            EXPECT_EQ(run_on(device, type, alone).parameters.values, done.parameters.values);
        }
    });
}

TEST(WeightDecay, ASkippedStepDecaysNothing) {
    for (const int64_t count : {9, 4096}) {
        const Decay op = decay_of({count}, {.learning_rate = 0.1f, .nonfinite = 1}, 0.1f);
        for_each_setting(false, [&](TestDevice& device, DType type) {
            const Decay done = run_on(device, type, op);
            EXPECT_EQ(done.parameters.values, op.parameters.values);
            EXPECT_EQ(done.parameters_half.values, op.parameters_half.values);
        });
    }
}

Adam<HostArray> adam_of(int64_t count) {
    return {.parameters = uniform_f32({count}, 1),
            .first_moment = uniform_f32({count}, 2),
            .second_moment = uniform_f32({count}, 3, 0.5, 1),
            .gradients = uniform_f32({count}, 4),
            .control = control_of({.step = 5, .learning_rate = 0.01f}),
            .settings = {}};
}

/// Algorithm 2 of the paper, except that the update is decayed too.
TEST(WeightDecay, BehindAdamIsAdamW) {
    const Adam<HostArray> before = adam_of(100), after = run_reference(before);
    const Decay decayed = run_reference(Decay{.parameters = after.parameters, .control = after.control, .rate = 0.1f});
    std::vector<double> adamw;
    for (int64_t i = 0; i < 100; ++i) {
        const double update = after.parameters[i] - before.parameters[i];
        adamw.push_back(before.parameters[i] * (1 - 0.01 * 0.1) + update);
    }
    EXPECT_TRUE(near_all(decayed.parameters, adamw, 3e-5)); // updates are of up to 0.03
    EXPECT_FALSE(near_all(decayed.parameters, after.parameters.values, 5e-4));
}

TEST(WeightDecay, BehindAdamThatSkipsKeepsTheParameters) {
    for_each_setting(false, [](TestDevice& device, DType type) {
        Adam<HostArray> adam = adam_of(100);
        adam.gradients[57] = std::nan("");
        const Adam<HostArray> skipped = run_on(device, type, adam);
        const Decay op{.parameters = skipped.parameters, .control = skipped.control, .rate = 0.1f};
        EXPECT_EQ(run_on(device, type, op).parameters.values, adam.parameters.values);
    });
}

TEST(WeightDecay, SameBits) { expect_same_bits(decay_of({70001}, {.learning_rate = 0.1f}, 0.1f)); }

TEST(WeightDecay, WrongShapesAndTypesAreRefused) {
    const auto refused = [](auto member, HostArray wrong) {
        Decay op = decay_of({6}, {.learning_rate = 0.1f}, 0.1f);
        static_cast<HostArray&>(op.*member) = std::move(wrong);
        expect_refused(op);
    };
    refused(&Decay::parameters, HostArray());
    refused(&Decay::parameters, uniform_f32({5}, 1));
    refused(&Decay::parameters, indices_of({6}, std::vector<int32_t>(6)));
    refused(&Decay::parameters_half, uniform_f32({6}, 1));
    refused(&Decay::control, HostArray());
    refused(&Decay::control, uniform_f32({6}, 1));
}

} // namespace
} // namespace scene::test
