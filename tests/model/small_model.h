#pragma once

// A small network with a training and an inference program, and tables with known entries, so that the result of a step
// is determined.

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "kernels/philox.h"
#include "model/step_runner.h"
#include "tests/support/small_step.h"

namespace scene::test {

/// A variable that setup of the inference program computes from parameters and running statistics.
inline bool is_made_in_setup(const std::string& name) {
    return name.find(".folded_") != std::string::npos || name.ends_with(".prepared_weight");
}

class SmallModel {
public:
    SmallModel(Device& device, const StepConfig& config)
        : config(config),
          runner(device, config,
                 {.training = {config.batch}, .inference = config.batch, .max_batch = config.batch + 2}),
          variables(runner.variables()), training(runner.training(config.batch)), inference(runner.inference()),
          executor(runner.executor()) {
        const ModelConfig& model = config.model;
        const auto rows = static_cast<size_t>(config.rows), classes = static_cast<size_t>(model.classes);
        features.resize(rows * static_cast<size_t>(model.frames * model.bands));
        for (size_t i = 0; i < features.size(); ++i) features[i] = 40 * draw(1, i) - 60;
        runner.bind_features(features);
        target.assign(rows * classes, 0.0f);
        for (size_t row = 0; row < rows; ++row) {
            target[row * classes + row * 3 % classes] = 1;
            weight.push_back(0.5f + 0.25f * static_cast<float>(row));
        }
        set_tables();
        if (model.multimodal) {
            std::vector<int32_t> city;
            std::vector<float> time;
            for (size_t row = 0; row < rows; ++row)
                city.push_back(static_cast<int32_t>(row % static_cast<size_t>(model.cities + 1)) - 1);
            for (size_t i = 0; i < rows * time_inputs; ++i) time.push_back(draw(2, i));
            runner.set_metadata(city, time);
        }
        runner.initialize(5);
        // If every gamma were 1, a batch norm's scale would equal its inv_std.
        for (const Variable* parameter : variables.all(Segment::Parameters)) {
            if (parameter->name.find("norm") == std::string::npos) continue;
            std::vector<float> values = get(Segment::Parameters, parameter->name);
            for (size_t i = 0; i < values.size(); ++i) values[i] += 0.25f * draw(3, i);
            set(Segment::Parameters, parameter->name, values);
        }
        set_order({0, 1, 2});
        set_control({.seed = 9, .learning_rate = 1e-3f});
    }
    SmallModel(const SmallModel&) = delete;
    SmallModel& operator=(const SmallModel&) = delete;

    void train() { executor.run(training); }
    void infer() {
        executor.setup(inference);
        executor.run(inference);
    }

    template <typename T> void set(Segment segment, const std::string& name, const std::vector<T>& values) {
        executor.upload(segment, name, values.data(), values.size() * sizeof(T));
    }
    template <typename T = float> std::vector<T> get(Segment segment, const std::string& name) const {
        std::vector<T> out(executor.tensor(segment, name).bytes() / sizeof(T));
        executor.download(segment, name, out.data(), out.size() * sizeof(T));
        return out;
    }
    std::map<std::string, std::vector<std::byte>> bytes(Segment segment) const {
        std::map<std::string, std::vector<std::byte>> out;
        for (const Variable* variable : variables.all(segment))
            out[variable->name] = get<std::byte>(segment, variable->name);
        return out;
    }
    void set_tables() {
        runner.set_targets(target);
        runner.set_weights(weight);
    }
    /// The clips of the first batch, followed by padding slots.
    void set_order(const std::vector<int32_t>& order) { runner.begin(order); }
    void set_control(const StepControl& control) { runner.set_control(control); }
    StepControl control() const { return runner.control(); }
    double loss_sum() const { return runner.loss_sum(); }
    void clear_metrics() { runner.clear_metrics(); }
    /// Sets the classifier's weights to 0, so that every clip has the bias as its logits.
    void set_classifier(const std::vector<float>& bias) {
        set(Segment::Parameters, "head.classifier.bias", bias);
        std::vector<float> none(get(Segment::Parameters, "head.classifier.weight").size(), 0.0f);
        set(Segment::Parameters, "head.classifier.weight", none);
    }

    /// Uniform in [-1, 1).
    static float draw(uint32_t stream, size_t index) { return 2 * uniform_of(random_word(3, stream, 0, index)) - 1; }

    StepConfig config;
    StepRunner runner; ///< max_batch is larger than its batch
    const Variables& variables;
    const Program &training, &inference;
    Executor& executor;
    std::vector<float> features, target, weight;
};

} // namespace scene::test
