// Whole networks against PyTorch in double precision. tools/reference/make_model_goldens.py defines how both sides
// generate the same parameters and inputs, and explains the tolerances.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "kernels/files/safetensors.h"
#include "kernels/philox.h"
#include "model/executor.h"
#include "model/networks/network.h"
#include "tests/support/compare.h"

namespace scene {
namespace {

using test::all_close;
using test::Tolerance;

constexpr uint32_t fine_stream = 1000, coarse_stream = 1001, time_stream = 1002, weight_stream = 1003;
constexpr uint32_t sample_stream = 2000, projection_stream = 3000, first_statistic = 500;
constexpr double relative_error = 1e-4; // attainable in F32, see SMOOTH_ERROR in the script

std::vector<std::string> names_in(const std::string& list) {
    std::vector<std::string> names;
    std::istringstream in(list);
    for (std::string name; std::getline(in, name, ',');) names.push_back(name);
    return names;
}

/// The network that the goldens call "se_trans" is "se-trans".
const Network* network_of(std::string model) {
    std::replace(model.begin(), model.end(), '_', '-');
    const Network* network = network_named(model);
    SCENE_CHECK(network, "no network is named " + model);
    return network;
}

/// One golden file, and the parameters and inputs that its recipe generates.
class Golden {
public:
    explicit Golden(const std::string& name) : file_("tests/goldens/" + name + ".safetensors") {
        config_.network = network_of(text("model"));
        config_.width = number("width");
        config_.classes = integer("classes");
        config_.frames = integer("frames");
        config_.bands = integer("bands");
        config_.deltas = text("deltas") == "True";
        config_.multimodal = text("multimodal") == "True";
        config_.conv_dropout = 0;
        config_.encoder_dropout = 0;
    }

    const ModelConfig& config() const { return config_; }
    int64_t batch() const { return integer("batch"); }
    std::vector<std::string> parameters() const { return names_in(text("parameters")); }
    std::vector<std::string> statistics() const { return names_in(text("statistics")); }
    std::span<const double> tensor(const std::string& name) const { return file_.tensor(name).as<double>(); }
    /// Tolerated relative error of gradients. If the case is not smooth, it follows from the error of PyTorch's own F32
    /// run.
    double gradient_error() const {
        return text("smooth") == "True" ? relative_error : std::max(relative_error, 3 * number("fp32_gradient_error"));
    }

    /// Uniform in [-1, 1), exact in float.
    float draw(uint32_t stream, size_t index) const { return 2 * uniform_of(word(stream, index)) - 1; }
    uint32_t word(uint32_t stream, size_t index) const {
        return random_word(static_cast<uint64_t>(integer("seed")), stream, 0, index);
    }

    std::vector<float> parameter(uint32_t stream, const std::string& name, const Shape& shape) const {
        std::vector<float> values(static_cast<size_t>(shape.elements()));
        const double fan_in = static_cast<double>(shape.elements() / shape[0]);
        const float bound = static_cast<float>(std::sqrt(6.0 / fan_in));
        for (size_t i = 0; i < values.size(); ++i) {
            const float u = draw(stream, i);
            if (shape.rank() >= 2)
                values[i] = u * bound;
            else
                values[i] = name.ends_with("weight") ? 1 + u / 8 : u / 8;
        }
        return values;
    }

    static float first_statistic_value(const std::string& name) {
        if (name.ends_with("running_var")) return name.starts_with("input_norm") ? 128 : 1;
        return name.starts_with("input_norm") ? -40 : 0;
    }

    std::vector<float> features() const {
        const auto frames = static_cast<size_t>(config_.frames), bands = static_cast<size_t>(config_.bands);
        const size_t coarse_frames = (frames + 24) / 25, coarse_bands = bands / 8;
        std::vector<float> values(static_cast<size_t>(batch()) * frames * bands);
        for (size_t i = 0; i < values.size(); ++i) {
            const size_t band = i % bands, frame = i / bands % frames, clip = i / bands / frames;
            const size_t patch = (clip * coarse_frames + frame / 25) * coarse_bands + band / 8;
            values[i] = (-40 + 32 * draw(coarse_stream, patch)) + 8 * draw(fine_stream, i);
        }
        return values;
    }
    /// [N, K], one-hot.
    std::vector<float> target() const {
        const auto classes = static_cast<size_t>(config_.classes);
        std::vector<float> values(static_cast<size_t>(batch()) * classes);
        for (size_t clip = 0; clip * classes < values.size(); ++clip)
            values[clip * classes + (3 * clip + 1) % classes] = 1;
        return values;
    }
    std::vector<float> weight() const {
        std::vector<float> values(static_cast<size_t>(batch()));
        for (size_t clip = 0; clip < values.size(); ++clip) values[clip] = 1 + draw(weight_stream, clip) / 2;
        return values;
    }
    std::vector<int32_t> city() const {
        std::vector<int32_t> values(static_cast<size_t>(batch()));
        for (int32_t clip = 0; clip < batch(); ++clip)
            values[static_cast<size_t>(clip)] = clip % 3 == 1 ? -1 : (7 * clip + 5) % 22;
        return values;
    }
    std::vector<float> time() const {
        std::vector<float> values(static_cast<size_t>(batch() * time_inputs));
        for (size_t i = 0; i < values.size(); ++i) values[i] = draw(time_stream, i);
        return values;
    }

    /// Compares samples, norm, maximum and projection of a tensor; `number` is its number in the recipe's random
    /// streams.
    void expect_summarised(const std::string& name, uint32_t number, const std::vector<float>& actual,
                           double error) const {
        const std::span<const double> summary = tensor(name + "/summary"), samples = tensor(name + "/samples");
        std::vector<float> sampled;
        for (size_t j = 0; j < samples.size(); ++j)
            sampled.push_back(actual[samples.size() == actual.size()
                                         ? j
                                         : word(sample_stream + number, j) % static_cast<uint32_t>(actual.size())]);
        EXPECT_TRUE(all_close(std::span<const float>(sampled), samples, {.absolute = error * summary[1]}, name));

        double squares = 0, projection = 0;
        float largest = 0;
        for (size_t i = 0; i < actual.size(); ++i) {
            squares += static_cast<double>(actual[i]) * actual[i];
            projection += static_cast<double>(actual[i]) * draw(projection_stream + number, i);
            largest = std::max(largest, std::abs(actual[i]));
        }
        EXPECT_TRUE(std::abs(std::sqrt(squares) - summary[0]) <= error * summary[0])
            << name << ": norm " << std::sqrt(squares) << ", expected " << summary[0];
        EXPECT_TRUE(std::abs(largest - summary[1]) <= error * summary[1])
            << name << ": largest " << largest << ", expected " << summary[1];
        EXPECT_TRUE(std::abs(projection - summary[2]) <= error * summary[0])
            << name << ": projection " << projection << ", expected " << summary[2];
    }

private:
    const std::string& text(const std::string& key) const { return file_.metadata(key); }
    double number(const std::string& key) const { return std::stod(text(key)); }
    int64_t integer(const std::string& key) const { return std::stoll(text(key)); }

    SafetensorsFile file_;
    ModelConfig config_;
};

NetworkInputs declare_inputs(ProgramBuilder& builder, const ModelConfig& config) {
    NetworkInputs inputs;
    inputs.features = builder.variable(Segment::State, "features", {builder.batch(), config.frames, config.bands});
    if (config.multimodal) {
        inputs.city = builder.variable(Segment::State, "city", {builder.batch()}, DType::I32);
        inputs.time = builder.variable(Segment::State, "time", {builder.batch(), time_inputs});
    }
    return inputs;
}

void keep(ProgramBuilder& builder, TensorId transient, const std::string& name) {
    const TensorId kept = builder.variable(Segment::State, name, builder.shape(transient));
    builder.add("keep." + name, ConcatForward<TensorId>{.y = kept, .parts = {transient}});
}

/// Forward and backward without an update. The tensors that a golden has stay in memory.
Program build_training(const Device& device, Variables& variables, const ModelConfig& config, int64_t batch) {
    ProgramBuilder builder("golden training", device.planner(), variables, Mode::Training, batch);
    const TensorId logits = build_network(builder, config, declare_inputs(builder, config)).logits;
    keep(builder, logits, "logits");
    const TensorId dlogits = builder.transient("dlogits", builder.shape(logits));
    const TensorId loss = builder.variable(Segment::State, "loss", {batch});
    const TensorId probabilities = builder.variable(Segment::State, "probabilities", builder.shape(logits));
    const TensorId target = builder.variable(Segment::State, "target", builder.shape(logits));
    const TensorId weight = builder.variable(Segment::State, "weight", {batch});
    builder.add("loss", SoftmaxLoss<TensorId>{.dlogits = dlogits,
                                              .loss = loss,
                                              .probabilities = probabilities,
                                              .logits = logits,
                                              .target = target,
                                              .weight = weight,
                                              .control = builder.control(),
                                              .smoothing = 0.1f});
    builder.set_gradient(logits, dlogits);
    builder.build_backward();
    return builder.finish();
}

Program build_inference(const Device& device, Variables& variables, const ModelConfig& config, int64_t batch) {
    ProgramBuilder builder("golden inference", device.planner(), variables, Mode::Inference, batch);
    keep(builder, build_network(builder, config, declare_inputs(builder, config)).logits, "eval_logits");
    return builder.finish();
}

template <typename T>
void set(Executor& executor, Segment segment, const std::string& name, const std::vector<T>& values) {
    executor.upload(segment, name, values.data(), values.size() * sizeof(T));
}

std::vector<float> get(const Executor& executor, Segment segment, const std::string& name) {
    std::vector<float> values(static_cast<size_t>(executor.tensor(segment, name).elements()), NAN);
    executor.download(segment, name, values.data(), values.size() * sizeof(float));
    return values;
}

class NetworkGolden : public testing::TestWithParam<const char*> {};

TEST_P(NetworkGolden, StepAndEvaluationAreThoseOfPyTorch) {
    const Golden golden(GetParam());
    const auto device = make_cpu_device(2);
    Variables variables;
    const Program training = build_training(*device, variables, golden.config(), golden.batch());
    const Program inference = build_inference(*device, variables, golden.config(), golden.batch());
    Executor executor(*device, variables, {&training, &inference});

    const std::vector<std::string> parameters = golden.parameters(), statistics = golden.statistics();
    ASSERT_EQ(variables.all(Segment::Parameters).size(), parameters.size());
    ASSERT_EQ(variables.all(Segment::Statistics).size(), statistics.size());
    for (uint32_t number = 0; number < parameters.size(); ++number) {
        const std::string& name = parameters[number];
        ASSERT_NE(variables.find(Segment::Parameters, name), nullptr) << name;
        const Tensor parameter = executor.tensor(Segment::Parameters, name);
        set(executor, Segment::Parameters, name, golden.parameter(number, name, parameter.shape));
        set(executor, Segment::Gradients, name, std::vector<float>(static_cast<size_t>(parameter.elements()), NAN));
    }
    for (const std::string& name : statistics) {
        ASSERT_NE(variables.find(Segment::Statistics, name), nullptr) << name;
        const auto channels = static_cast<size_t>(executor.tensor(Segment::Statistics, name).elements());
        set(executor, Segment::Statistics, name, std::vector<float>(channels, Golden::first_statistic_value(name)));
    }
    set(executor, Segment::State, "features", golden.features());
    set(executor, Segment::State, "target", golden.target());
    set(executor, Segment::State, "weight", golden.weight());
    set(executor, Segment::State, "control", std::vector<StepControl>(1));
    if (golden.config().multimodal) {
        set(executor, Segment::State, "city", golden.city());
        set(executor, Segment::State, "time", golden.time());
    }

    executor.run(training);
    executor.setup(inference);
    executor.run(inference);

    for (const std::string name : {"logits", "probabilities", "loss", "eval_logits"}) {
        const std::vector<float> actual = get(executor, Segment::State, name);
        EXPECT_TRUE(
            all_close(std::span<const float>(actual), golden.tensor(name), {.of_largest = relative_error}, name));
    }
    const std::vector<float> loss = get(executor, Segment::State, "loss");
    const double mean_loss = std::accumulate(loss.begin(), loss.end(), 0.0) / static_cast<double>(loss.size());
    EXPECT_NEAR(mean_loss, golden.tensor("mean_loss")[0], relative_error * golden.tensor("mean_loss")[0]);
    for (uint32_t number = 0; number < parameters.size(); ++number)
        golden.expect_summarised("gradient/" + parameters[number], number,
                                 get(executor, Segment::Gradients, parameters[number]), golden.gradient_error());
    for (uint32_t place = 0; place < statistics.size(); ++place)
        golden.expect_summarised("running/" + statistics[place], first_statistic + place,
                                 get(executor, Segment::Statistics, statistics[place]), relative_error);
}

constexpr const char* cases[] = {"se_trans_multimodal", "se_trans_deltas", "se_trans_500", "fcnn_multimodal",
                                 "fcnn_narrow",         "fcnn_narrow_500", "fcnn_500",     "small_cnn_multimodal"};

INSTANTIATE_TEST_SUITE_P(Cases, NetworkGolden, testing::ValuesIn(cases),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(NetworkGoldens, AreThereForEveryNetwork) {
    std::set<const Network*> compared;
    for (const char* name : cases) compared.insert(Golden(name).config().network);
    for (const Network* network : networks()) EXPECT_TRUE(compared.contains(network)) << network->name;
}

} // namespace
} // namespace scene
