#include "kernels/files/safetensors.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Step = Adam<HostArray>;

Step step_of(int64_t count, const StepControl& control, const AdamSettings& settings = {}) {
    return {.parameters = uniform_f32({count}, 1),
            .first_moment = uniform_f32({count}, 2),
            .second_moment = uniform_f32({count}, 3, 0, 1),
            .parameters_half = with_values({count}, std::vector<double>(static_cast<size_t>(count), 7), DType::F16),
            .gradients = uniform_f32({count}, 4, -300, 300),
            .control = control_of(control),
            .settings = settings};
}

TEST(Adam, EqualsTheReference) {
    const AdamSettings decay{.weight_decay = 0.01f};
    const AdamSettings all{.beta1 = 0.7f, .beta2 = 0.95f, .epsilon = 0.1f, .weight_decay = 0.01f};
    for (const int64_t count : {1, 9, 1003, 4096}) {
        const auto after = [&](uint32_t steps, const AdamSettings& settings) {
            expect_like_reference(step_of(count, {.step = steps, .learning_rate = 1e-3f, .loss_scale = 128}, settings),
                                  std::to_string(count) + " parameters after " + std::to_string(steps) + " steps");
        };
        after(0, {});
        after(1, decay);
        after(500, all);
    }
}

TEST(Adam, EqualsTheReferenceForManyParameters) { // several chunks; the search on the GPU takes several strides
    expect_like_reference(step_of(70001, {.step = 6, .learning_rate = 1e-3f, .loss_scale = 64}));
}

/// Runs the golden's steps with `run`, which returns the record after one step, and compares every step with
/// torch.optim.Adam's (tools/reference/make_model_goldens.py).
template <class Run> void expect_pytorch_steps(Run&& run, double tolerance) {
    const SafetensorsFile golden("tests/goldens/adam.safetensors");
    const auto in_double = [&](const std::string& name, int64_t step, int64_t count) {
        const std::span<const double> all = golden.tensor(name).as<double>();
        return std::vector<double>(all.begin() + step * count, all.begin() + (step + 1) * count);
    };
    const std::span<const float> start = golden.tensor("parameters").as<float>(),
                                 gradients = golden.tensor("gradients").as<float>();
    const auto count = static_cast<int64_t>(start.size()), steps = static_cast<int64_t>(gradients.size()) / count;
    ASSERT_EQ(steps, 5);
    for (const auto& [suffix, decay] : {std::pair{"", 0.0f}, {"_decay", 0.01f}}) {
        SCOPED_TRACE("weight decay " + std::to_string(decay));
        Step op = step_of(count, {}, {.weight_decay = decay});
        op.parameters = with_values({count}, {start.begin(), start.end()});
        op.first_moment = op.second_moment = with_values({count}, std::vector<double>(static_cast<size_t>(count), 0.0));
        for (int64_t t = 0; t < steps; ++t) {
            const auto first = gradients.begin() + t * count;
            op.gradients = with_values({count}, {first, first + count});
            op.control = control_of({.step = static_cast<uint32_t>(t), .learning_rate = 0.01f});
            op = run(op);
            EXPECT_TRUE(near_all(op.parameters, in_double(std::string("after") + suffix, t, count), tolerance)) << t;
        }
        // The betas are floats: 1 - 0.999f is 1.3e-5 from 0.001. The bias correction takes that out of the parameters.
        for (const auto& [name, moment] :
             {std::pair{"first_moment", &op.first_moment}, {"second_moment", &op.second_moment}})
            EXPECT_TRUE(near_all(*moment, in_double(std::string(name) + suffix, 0, count), 1e-5)) << name;
    }
}

TEST(Adam, StepsArePyTorchs) {
    expect_pytorch_steps([](const Step& op) { return run_reference(op); }, 1e-8);
    for_each_setting(false, [](TestDevice& device, DType type) {
        expect_pytorch_steps([&](const Step& op) { return run_on(device, type, op); }, 1e-6);
    });
}

TEST(Adam, FirstStepIsTheLearningRateInTheDirectionOfTheGradient) {
    Step op = step_of(3, {.learning_rate = 0.5f});
    op.parameters = with_values({3}, {1, 1, 1});
    op.first_moment = op.second_moment = with_values({3}, {0, 0, 0});
    op.gradients = with_values({3}, {1e-3f, -20, 0});
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_TRUE(near_all(run_on(device, type, op).parameters, {0.5, 1.5, 1}, 1e-5));
    });
}

TEST(Adam, TheHalfCopyIsThatOfTheParameters) {
    for_each_setting(false, [](TestDevice& device, DType type) {
        Step op = step_of(1003, {.learning_rate = 0.1f});
        for (const DType half : {DType::F16, DType::BF16}) {
            op.parameters_half.dtype = half;
            const Step done = run_on(device, type, op);
            EXPECT_EQ(done.parameters_half.values, stored_as(half, done.parameters.values)) << name_of(half);
            Step alone = op;
            alone.parameters_half = HostArray();
            EXPECT_EQ(run_on(device, type, alone).parameters.values, done.parameters.values);
        }
    });
}

void expect_only_the_flag_changes(const Step& op) {
    const StepControl was = control_in(op.control);
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const Step done = run_on(device, type, op);
        EXPECT_EQ(done.parameters.values, op.parameters.values);
        EXPECT_EQ(done.first_moment.values, op.first_moment.values);
        EXPECT_EQ(done.second_moment.values, op.second_moment.values);
        EXPECT_EQ(done.parameters_half.values, op.parameters_half.values);
        const StepControl now = control_in(done.control);
        EXPECT_EQ(now.nonfinite, 1u);
        EXPECT_EQ(now.step, was.step);
        EXPECT_EQ(now.learning_rate, was.learning_rate);
        EXPECT_EQ(now.loss_scale, was.loss_scale);
    });
}

TEST(Adam, ANonfiniteGradientSkipsTheStep) {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::vector<double> bad = {std::nan(""), infinity, -infinity};
    for (const int64_t count : {1003, 4096}) {
        const std::vector<int64_t> places = {0, count / 2 + 3, count - 1};
        for (size_t i = 0; i < 3; ++i) {
            Step op = step_of(count, {.step = 3, .learning_rate = 0.1f, .loss_scale = 2});
            op.gradients[places[i]] = bad[(i + static_cast<size_t>(count)) % 3];
            SCOPED_TRACE(std::to_string(op.gradients[places[i]]) + " at " + std::to_string(places[i]));
            expect_only_the_flag_changes(op);
        }
    }
}

TEST(Adam, ANonfiniteGradientIsFoundAmongMany) { // in the second stride of the search on the GPU
    Step op = step_of(70001, {.step = 3, .learning_rate = 0.1f});
    op.gradients[67600] = std::nan("");
    expect_only_the_flag_changes(op);
}

TEST(Adam, TheLargestFloatIsFinite) {
    Step op = step_of(5, {.learning_rate = 0.1f});
    op.gradients = with_values({5}, {1, 2, static_cast<double>(std::numeric_limits<float>::max()), 0, -1});
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const Step done = run_on(device, type, op);
        EXPECT_EQ(control_in(done.control).nonfinite, 0u);
        EXPECT_NE(done.parameters[0], op.parameters[0]);
    });
}

TEST(Adam, SameBits) { expect_same_bits(step_of(70001, {.step = 3, .learning_rate = 0.1f})); }

TEST(Adam, WrongShapesAndTypesAreRefused) {
    const auto refused = [](auto member, HostArray wrong) {
        Step op = step_of(6, {});
        static_cast<HostArray&>(op.*member) = std::move(wrong);
        expect_refused(op);
    };
    refused(&Step::parameters, uniform_f32({2, 3}, 1));
    refused(&Step::first_moment, uniform_f32({5}, 1));
    refused(&Step::second_moment, uniform_f32({5}, 1));
    refused(&Step::parameters_half, uniform_f32({6}, 1));
    refused(&Step::gradients, uniform_f32({5}, 1));
    refused(&Step::control, HostArray());
    refused(&Step::control, uniform_f32({5}, 1));
}

} // namespace
} // namespace scene::test
