#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

struct State {
    Guarded parameters, first, second, half, control;

    State(int64_t count, const StepControl& step)
        : parameters(uniform({count}, 1)), first(uniform({count}, 2)), second(uniform({count}, 3, 0, 1)),
          half({count}, DType::F16), control(control_with(step)) {}
    void update(const Guarded& gradients, const AdamSettings& settings, Backend& backend = cpu()) {
        backend.adam(parameters, first, second, half, gradients, control, settings);
    }
};

/// Algorithm 1 of Kingma and Ba, with the L2 term added to the gradient.
void reference_adam(Values& w, Values& m, Values& v, const Values& gradients, const StepControl& control,
                    const AdamSettings& settings) {
    const auto beta1 = static_cast<double>(settings.beta1), beta2 = static_cast<double>(settings.beta2);
    const double t = control.step + 1.0;
    for (size_t i = 0; i < w.size(); ++i) {
        const double g =
            gradients[i] / static_cast<double>(control.loss_scale) + static_cast<double>(settings.weight_decay) * w[i];
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        const double m_hat = m[i] / (1 - std::pow(beta1, t)), v_hat = v[i] / (1 - std::pow(beta2, t));
        w[i] -= static_cast<double>(control.learning_rate) * m_hat /
                (std::sqrt(v_hat) + static_cast<double>(settings.epsilon));
    }
}

TEST(Adam, EqualsTheReference) {
    for (const int64_t count : {1l, 9l, 1000l, 70001l})
        for (const uint32_t step : {0u, 1u, 500u})
            for (const float decay : {0.0f, 0.01f}) {
                const StepControl control{.step = step, .learning_rate = 1e-3f, .loss_scale = 128};
                const AdamSettings settings{.weight_decay = decay};
                State state(count, control);
                Values w = state.parameters.doubles(), m = state.first.doubles(), v = state.second.doubles();
                const Guarded gradients = uniform({count}, 4, -300, 300);
                reference_adam(w, m, v, gradients.doubles(), control, settings);
                state.update(gradients, settings);
                EXPECT_TRUE(close(state.parameters, w, roundings(2), "parameters"));
                EXPECT_TRUE(close(state.first, m, roundings(4), "first moment"));
                EXPECT_TRUE(close(state.second, v, roundings(4), "second moment"));
                EXPECT_EQ(control_in(state.control).nonfinite, 0u);
                EXPECT_EQ(control_in(state.control).step, step);
            }
}

TEST(Adam, FirstStepIsTheLearningRateInTheDirectionOfTheGradient) {
    State state(3, {.learning_rate = 0.5f});
    for (int64_t i = 0; i < 3; ++i) state.parameters[i] = 1, state.first[i] = state.second[i] = 0;
    state.update(filled({3}, {1e-3f, -20, 0}), {});
    EXPECT_TRUE(close(state.parameters, {0.5, 1.5, 1}, {.absolute = 1e-5}, "parameters"));
}

TEST(Adam, WritesTheRoundedHalfCopy) {
    State state(100, {.learning_rate = 0.1f});
    state.update(uniform({100}, 4), {});
    const auto* half = static_cast<const _Float16*>(static_cast<Tensor>(state.half).data);
    for (int64_t i = 0; i < 100; ++i)
        EXPECT_NEAR(static_cast<double>(half[i]), static_cast<double>(state.parameters[i]),
                    std::abs(static_cast<double>(state.parameters[i])) * 0x1p-11);
}

TEST(Adam, NonfiniteGradientSkipsTheStep) {
    constexpr int64_t count = 200000; // several pieces, so that the bad one is not the first
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float bad : {std::nanf(""), infinity, -infinity})
        for (const int64_t at : {int64_t{0}, count / 2 + 3, count - 1}) {
            State state(count, {.step = 3, .learning_rate = 0.1f});
            const State before = state;
            Guarded gradients = uniform({count}, 4);
            gradients[at] = bad;
            state.update(gradients, {});
            EXPECT_TRUE(state.parameters.same_bytes(before.parameters)) << bad << " at " << at;
            EXPECT_TRUE(state.first.same_bytes(before.first));
            EXPECT_TRUE(state.second.same_bytes(before.second));
            EXPECT_TRUE(state.half.same_bytes(before.half));
            EXPECT_EQ(control_in(state.control).nonfinite, 1u);
            EXPECT_EQ(control_in(state.control).step, 3u);
            EXPECT_EQ(control_in(state.control).learning_rate, 0.1f);
        }
    State state(5, {.learning_rate = 0.1f});
    const State before = state;
    state.update(filled({5}, {1, 2, std::numeric_limits<float>::max(), 0, -1}), {});
    EXPECT_EQ(control_in(state.control).nonfinite, 0u) << "the largest float is finite";
    EXPECT_FALSE(state.parameters.same_bytes(before.parameters));
}

TEST(Adam, SameBitsOnAnyNumberOfThreads) {
    const Guarded gradients = uniform({300000}, 4);
    expect_same_bits([&](Backend& backend) {
        State state(300000, {.step = 3, .learning_rate = 0.1f});
        state.update(gradients, {}, backend);
        return std::vector<Guarded>{state.parameters, state.first, state.second, state.half};
    });
}

TEST(Adam, WrongShapesAndTypesAreRefused) {
    State state(6, {});
    const Guarded five = uniform({5}, 1), matrix = uniform({2, 3}, 1), g = uniform({6}, 1);
    const auto run = [&](Tensor w, Tensor m, Tensor half, Tensor gradients, Tensor control) {
        cpu().adam(w, m, state.second, half, gradients, control, {});
    };
    EXPECT_NO_THROW(run(state.parameters, state.first, {}, g, state.control));
    EXPECT_THROW(run(matrix, state.first, {}, g, state.control), std::logic_error);
    EXPECT_THROW(run(state.parameters, five, {}, g, state.control), std::logic_error);
    EXPECT_THROW(run(state.parameters, state.first, g, g, state.control), std::logic_error);
    EXPECT_THROW(run(state.parameters, state.first, {}, five, state.control), std::logic_error);
    EXPECT_THROW(run(state.parameters, state.first, {}, g, {}), std::logic_error);
    EXPECT_THROW(run(state.parameters, state.first, {}, g, five), std::logic_error);
}

} // namespace
} // namespace scene::test
