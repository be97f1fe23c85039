#pragma once

// A step of a small network with reproducible inputs, for comparing devices.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/half_width.h"
#include "kernels/philox.h"
#include "model/step_runner.h"

namespace scene::test {

inline StepConfig small_step(const Network* network, bool deltas, bool multimodal) {
    StepConfig config;
    config.model.network = network;
    config.model.width = 0.06;
    config.model.frames = 33;
    config.model.bands = 17;
    config.model.cities = 3;
    config.model.deltas = deltas;
    config.model.multimodal = multimodal;
    config.batch = 3;
    config.rows = 7;
    config.label_smoothing = 0.1f;
    return config;
}

class SmallStep {
public:
    SmallStep(Device& device, const StepConfig& config, Mode mode)
        : config_(config), mode_(mode),
          runner_(device, config,
                  mode == Mode::Training ? StepPrograms{.training = {config.batch}}
                                         : StepPrograms{.training = {}, .inference = config.batch}) {
        const ModelConfig& model = config.model;
        features_ = draws(config.rows * model.frames * model.bands, 1);
        for (float& value : features_) value = 20 * value - 40;
        runner_.bind_features(features_);
        runner_.initialize(5);
        std::vector<int32_t> order;
        for (int64_t i = 0; i < config.rows + config.batch; ++i) order.push_back(static_cast<int32_t>(i * 3 % 7));
        runner_.begin(order);
        std::vector<float> target(static_cast<size_t>(config.rows * model.classes), 0.0f);
        for (int64_t row = 0; row < config.rows; ++row)
            target[static_cast<size_t>(row * model.classes + row % model.classes)] = 1;
        runner_.set_targets(target);
        if (model.multimodal)
            runner_.set_metadata(std::vector<int32_t>{0, -1, 1, 2, 0, 1, -1}, draws(config.rows * time_inputs, 2));
        set_control({.seed = 9, .learning_rate = 1e-3f});
        if (mode == Mode::Training)
            runner_.prepare_training();
        else
            runner_.prepare_inference();
    }

    const Program& program() const {
        return mode_ == Mode::Training ? runner_.training(config_.batch) : runner_.inference();
    }
    StepRunner& runner() { return runner_; }
    void run() { runner_.executor().run(program()); }
    /// Back to the start of the order.
    void rewind() {
        StepControl now = control();
        now.cursor = 0;
        set_control(now);
    }
    void set_control(const StepControl& control) { runner_.set_control(control); }
    StepControl control() const { return runner_.control(); }
    double loss_sum() const { return runner_.loss_sum(); }
    std::vector<float> values(Segment segment, const std::string& name) const {
        const Tensor tensor = runner_.executor().tensor(segment, name);
        std::vector<float> out(static_cast<size_t>(tensor.elements()));
        runner_.executor().download(segment, name, out.data(), out.size() * sizeof(float));
        return out;
    }
    std::map<std::string, std::vector<float>> all(Segment segment) const {
        std::map<std::string, std::vector<float>> out;
        for (const Variable* variable : runner_.variables().all(segment))
            out[variable->name] = values(segment, variable->name);
        return out;
    }
    /// Rounds every parameter to F16 or BF16.
    void round_parameters(DType type) {
        for (auto& [name, values] : all(Segment::Parameters)) {
            std::vector<float> rounded;
            with_half_width(type, [&](auto half) {
                for (const float value : values)
                    rounded.push_back(static_cast<float>(static_cast<decltype(half)>(value)));
            });
            runner_.executor().upload(Segment::Parameters, name, rounded.data(), rounded.size() * sizeof(float));
        }
    }
    /// Changes every parameter by up to `share` of itself.
    void perturb_parameters(float share) {
        uint32_t stream = 0;
        for (auto& [name, values] : all(Segment::Parameters)) {
            ++stream;
            for (size_t i = 0; i < values.size(); ++i)
                values[i] *= 1 + share * (2 * uniform_of(random_word(4, stream, 0, i)) - 1);
            runner_.executor().upload(Segment::Parameters, name, values.data(), values.size() * sizeof(float));
        }
    }
    std::vector<float> probabilities() const { return runner_.probabilities(); }

private:
    static std::vector<float> draws(int64_t count, uint32_t stream) {
        std::vector<float> out(static_cast<size_t>(count));
        for (size_t i = 0; i < out.size(); ++i) out[i] = 2 * uniform_of(random_word(3, stream, 0, i)) - 1;
        return out;
    }

    StepConfig config_;
    Mode mode_;
    StepRunner runner_;
    std::vector<float> features_;
};

/// The distance between two gradients, relative to the norm of the expected one.
struct GradientDistance {
    double whole = 0;      ///< of all parameters as one vector
    double largest = 0;    ///< the largest of a single parameter tensor
    std::string parameter; ///< that tensor
};

/// How far half precision or BF16 moves the gradient depends on the network: where values are within a few roundings of
/// each other, relu and max pooling decide differently. A step whose parameters alone are rounded to that type, and
/// which is otherwise exact, tells how far. A step in that type rounds about five times as often, and the squares of
/// independent errors add up. So its distance may be that of the rounded parameters times this.
constexpr double rounding_growth = 2.24; // sqrt(5)
/// The distance may not be larger than this for any network: a wrong op could hide behind it. BF16 rounds eight times
/// as coarsely as F16, so that decisions flip eight times as often. The same kernels are also tested in F16.
constexpr double most_rounding_in(DType type) { return type == DType::BF16 ? 0.5 : 0.3; }

/// `largest` leaves out parameters whose expected gradient has a norm below `least` times the largest norm. `actual` is
/// divided by `scale`.
inline GradientDistance gradient_distance(const std::map<std::string, std::vector<float>>& actual,
                                          const std::map<std::string, std::vector<float>>& expected, double least,
                                          double scale = 1) {
    const auto length = [](const std::vector<float>& values) {
        double sum = 0;
        for (const float value : values) sum += static_cast<double>(value) * value;
        return std::sqrt(sum);
    };
    double longest = 0;
    for (const auto& [name, values] : expected) longest = std::max(longest, length(values));
    GradientDistance out;
    double all_differences = 0, all_lengths = 0;
    for (const auto& [name, values] : expected) {
        double sum = 0;
        for (size_t i = 0; i < values.size(); ++i) {
            const double difference = actual.at(name)[i] / scale - values[i];
            sum += difference * difference;
        }
        all_differences += sum;
        all_lengths += length(values) * length(values);
        if (length(values) < least * longest) continue;
        const double distance = std::sqrt(sum) / length(values);
        if (!(distance <= out.largest)) out.largest = distance, out.parameter = name; // also if it is NaN
    }
    out.whole = std::sqrt(all_differences / all_lengths);
    return out;
}

// ---- gradients in float -----------------------------------------------------------------------------------------

using Gradients = std::map<std::string, std::vector<float>>;

/// The gradients of `steps` steps with learning rate 0: the parameters stay, clips and dropout masks change.
inline std::vector<Gradients> gradients_at_rest(SmallStep& step, int steps) {
    step.set_control({.seed = 9, .learning_rate = 0});
    std::vector<Gradients> out;
    for (int i = 0; i < steps; ++i) {
        if (i % 3 == 0) step.rewind();
        step.run();
        out.push_back(step.all(Segment::Gradients));
    }
    return out;
}

/// A step in float rounds differently on another device, by about 1e-6 of its values. The loss and the activations are
/// continuous, so they differ by that much. So do the gradients, unless the input of a relu, or two values of a pooling
/// window, are so close that the decision flips. Then a correct gradient is off by up to a few hundredths. Flips occur
/// in some of the steps, but a wrong op is wrong in all of them. So more than a third of the steps must be close.
constexpr double most_float_distance = 1e-3;
/// No step may be further off than twice what flips cause. The CPU tells how much that is: `perturbed` are its
/// gradients with parameters changed by ten times float's rounding, so that decisions flip ten times as often.
constexpr float flipping_share = 1e-5f;

inline testing::AssertionResult same_gradients_in_float(const std::vector<Gradients>& actual,
                                                        const std::vector<Gradients>& expected,
                                                        const std::vector<Gradients>& perturbed) {
    std::vector<double> distances;
    double flips = most_float_distance;
    for (size_t i = 0; i < expected.size(); ++i) {
        const double distance = gradient_distance(actual[i], expected[i], 1e-2).whole;
        distances.push_back(std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
        flips = std::max(flips, gradient_distance(perturbed[i], expected[i], 1e-2).whole);
    }
    std::sort(distances.begin(), distances.end());
    if (const double close = distances[distances.size() / 3]; close > most_float_distance)
        return testing::AssertionFailure() << "most steps are off by " << close << " or more";
    if (distances.back() > 2 * flips)
        return testing::AssertionFailure() << "a step is off by " << distances.back() << ", and flips make " << flips;
    return testing::AssertionSuccess();
}

} // namespace scene::test
