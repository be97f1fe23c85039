// The differences between training and inference: dropout, batch norm, augmentation, counters, tables.

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/model/small_model.h"
#include "tests/support/compare.h"
#include "tests/support/forwarding_device.h"

namespace scene::test {
namespace {

/// The CPU's planner, with its fusions or without.
class MaybeFusing : public ForwardingPlanner {
public:
    using ForwardingPlanner::ForwardingPlanner;
    bool fuses = true;

    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override {
        return fuses ? ForwardingPlanner::conv2d_fusion(shape) : ConvFusion{};
    }
};

/// Records the dropout settings of a step's ops.
class Spy : public ForwardingDevice<Spy, MaybeFusing> {
public:
    struct Masked {
        float p;
        uint32_t stream;
        bool operator==(const Masked&) const = default;
    };
    /// [forward, backward], by the layer's name.
    std::map<std::string, std::vector<Masked>> masked[2];

    void begin_range(const std::string& name) override { op_ = name; }
    void intercept(const BatchNormForward<Tensor>& op) { pass(0, op.epilogue.dropout, op); }
    void intercept(const BatchNormBackward<Tensor>& op) { pass(1, op.epilogue.dropout, op); }
    void intercept(const LinearForward<Tensor>& op) { pass(0, op.dropout, op); }
    void intercept(const LinearActivationBackward<Tensor>& op) { pass(1, op.dropout, op); }
    void intercept(const AttentionForward<Tensor>& op) { pass(0, op.dropout, op); }
    void intercept(const AttentionBackward<Tensor>& op) { pass(1, op.dropout, op); }
    void intercept(const LayerNormForward<Tensor>& op) { pass(0, op.dropout, op); }
    void intercept(const LayerNormBackward<Tensor>& op) { pass(1, op.dropout, op); }

private:
    template <class Op> void pass(int direction, const Dropout& dropout, const Op& op) {
        if (dropout.p > 0) note(direction, dropout);
        inner().run(op);
    }
    void note(int direction, const Dropout& dropout) {
        std::string layer = op_; // "encoder.norm1.forward", "block3.norm1.forward.recomputed"
        for (const char* end : {".forward", ".backward", ".activation_backward"})
            if (const size_t at = layer.rfind(end); at != std::string::npos) layer.resize(at);
        masked[direction][layer].push_back({dropout.p, dropout.stream});
    }

    std::string op_;
};

StepConfig small_config(const Network* architecture = &fcnn, bool multimodal = false) {
    StepConfig config = small_step(architecture, false, multimodal);
    config.model.classes = 5;
    config.embeddings = true;
    return config;
}

class Modes : public testing::TestWithParam<const Network*> {
protected:
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    StepConfig config_ = small_config(GetParam(), true);
};
INSTANTIATE_TEST_SUITE_P(Networks, Modes, testing::Values(&fcnn, &se_trans),
                         [](const auto& instance) { return instance.param == &fcnn ? "Fcnn" : "SeTrans"; });

TEST_P(Modes, DropoutIsForTrainingAndBackwardMasksWhatForwardMasked) {
    config_.model.conv_dropout = 0.25f;
    config_.model.encoder_dropout = 0.125f;
    Spy plain;
    plain.plans().fuses = false;
    SmallModel(plain, config_).infer();
    EXPECT_TRUE(plain.masked[0].empty()) << "nor where a batch norm stays an op of its own";
    Spy spy;
    SmallModel model(spy, config_);
    model.infer();
    EXPECT_TRUE(spy.masked[0].empty());
    model.set_control({.seed = 9});
    model.train();
    std::map<std::string, float> expected{{"encoder.self_attn", 0.125f},
                                          {"encoder.norm1", 0.125f},
                                          {"encoder.linear1", 0.125f},
                                          {"encoder.norm2", 0.125f}};
    if (GetParam() == &fcnn)
        for (const char* norm : {"block3.norm1", "block3.norm2", "block3.norm3"}) expected[norm] = 0.25f;
    std::set<uint32_t> streams;
    for (const auto& [layer, masks] : spy.masked[0]) {
        ASSERT_TRUE(expected.contains(layer)) << layer;
        EXPECT_EQ(masks[0].p, expected[layer]) << layer;
        for (const Spy::Masked& again : masks) EXPECT_EQ(again, masks[0]) << layer;
        EXPECT_TRUE(streams.insert(masks[0].stream).second) << layer << " shares its masks with another layer";
        ASSERT_EQ(spy.masked[1][layer].size(), 1u) << layer;
        EXPECT_EQ(spy.masked[1][layer][0], masks[0]) << layer;
    }
    EXPECT_EQ(streams.size(), expected.size());
    EXPECT_EQ(spy.masked[1].size(), expected.size());

    Spy without;
    config_.model.conv_dropout = config_.model.encoder_dropout = 0;
    SmallModel(without, config_).train();
    EXPECT_TRUE(without.masked[0].empty() && without.masked[1].empty());
}

/// The loss of clip 0 in a batch whose other clips have weight 0.
double loss_beside(SmallModel& model, std::vector<int32_t> others, bool training) {
    model.weight.assign(model.weight.size(), 0.0f);
    model.weight[0] = 1;
    model.set_tables();
    model.set_order({0, others[0], others[1]});
    model.set_control({.seed = 9});
    model.clear_metrics();
    training ? model.train() : model.infer();
    return model.loss_sum();
}

TEST_P(Modes, TheOtherClipsOfABatchMatterInTrainingOnly) {
    config_.model.conv_dropout = config_.model.encoder_dropout = 0;
    SmallModel model(*device_, config_);
    const double alone = loss_beside(model, {1, 2}, false);
    EXPECT_NEAR(loss_beside(model, {5, 6}, false), alone, 1e-5);
    EXPECT_NEAR(loss_beside(model, {-1, -1}, false), alone, 1e-5);
    EXPECT_GT(std::abs(loss_beside(model, {1, 2}, true) - loss_beside(model, {5, 6}, true)), 1e-4);
}

TEST_P(Modes, RunningStatisticsFollowTheBatchInTrainingAndDecideInference) {
    SmallModel model(*device_, config_);
    const auto fresh = model.bytes(Segment::Statistics);
    model.infer();
    EXPECT_EQ(model.bytes(Segment::Statistics), fresh);
    const std::vector<float> before = model.get(Segment::State, "probabilities");
    model.set_control({.seed = 9, .learning_rate = 1e-3f});
    model.train();
    for (const auto& [name, bytes] : model.bytes(Segment::Statistics))
        EXPECT_NE(bytes, fresh.at(name)) << name << " is not kept up to date";

    // The input is known exactly: clips 0, 1 and 2.
    const auto bands = static_cast<size_t>(config_.model.bands), rows = 3 * static_cast<size_t>(config_.model.frames);
    const std::vector<float> mean = model.get(Segment::Statistics, "input_norm.running_mean");
    const std::vector<float> variance = model.get(Segment::Statistics, "input_norm.running_var");
    for (size_t band = 0; band < bands; ++band) {
        double sum = 0, squares = 0;
        for (size_t row = 0; row < rows; ++row) sum += model.features[row * bands + band];
        for (size_t row = 0; row < rows; ++row)
            squares += std::pow(model.features[row * bands + band] - sum / static_cast<double>(rows), 2);
        ASSERT_NEAR(mean[band], 0.9 * 0 + 0.1 * sum / static_cast<double>(rows), 1e-5);
        const double unbiased = squares / static_cast<double>(rows - 1);
        ASSERT_NEAR(variance[band], 0.9 * 1 + 0.1 * unbiased, 1e-5 * unbiased);
    }
    const auto parameters = model.bytes(Segment::Parameters);
    model.set_control({.seed = 9});
    model.infer();
    EXPECT_NE(model.get(Segment::State, "probabilities"), before);
    EXPECT_EQ(model.bytes(Segment::Parameters), parameters);
}

TEST_P(Modes, InferenceNormalisesByTheRunningStatistics) {
    SmallModel model(*device_, config_);
    model.infer();
    const std::vector<float> before = model.get(Segment::State, "probabilities");
    for (const std::string norm : {"input_norm", "block1.norm1", "block2.norm2"}) {
        for (const std::string& statistic : {norm + ".running_mean", norm + ".running_var"}) {
            const std::vector<float> kept = model.get(Segment::Statistics, statistic);
            std::vector<float> changed = kept;
            for (size_t i = 0; i < changed.size(); ++i) changed[i] += 2 + 0.5f * static_cast<float>(i % 3);
            model.set(Segment::Statistics, statistic, changed);
            model.set_control({.seed = 9});
            model.infer();
            EXPECT_NE(model.get(Segment::State, "probabilities"), before) << statistic;
            model.set(Segment::Statistics, statistic, kept);
        }
    }
}

TEST_P(Modes, TrainingCountsStepsAndInferenceDoesNot) {
    SmallModel model(*device_, config_);
    model.set_order({0, 1, 2, 3, 4, 5});
    const StepControl start{.seed = 9, .step = 17, .cursor = 0, .learning_rate = 1e-3f, .loss_scale = 1};
    model.set_control(start);
    model.train();
    EXPECT_EQ(model.control().step, 18u);
    EXPECT_EQ(model.control().cursor, 3u);
    model.infer();
    EXPECT_EQ(model.control().step, 18u);
    EXPECT_EQ(model.control().cursor, 6u);
    EXPECT_EQ(model.control().seed, start.seed);
    EXPECT_EQ(model.control().learning_rate, start.learning_rate);
}

TEST_P(Modes, InferenceWritesPredictionsAndMetricsAndNothingElse) {
    SmallModel model(*device_, config_);
    model.train();
    model.set_control({.seed = 9, .step = 1});
    std::map<Segment, std::map<std::string, std::vector<std::byte>>> before;
    const auto segments = {Segment::Parameters,   Segment::Gradients,  Segment::FirstMoment,
                           Segment::SecondMoment, Segment::Statistics, Segment::State};
    for (const Segment segment : segments) before[segment] = model.bytes(segment);
    model.infer();
    std::set<std::string> changed;
    for (const Segment segment : segments)
        for (const auto& [name, bytes] : model.bytes(segment))
            if (bytes != before[segment][name] && !is_made_in_setup(name)) changed.insert(name);
    EXPECT_EQ(changed, (std::set<std::string>{"confusion", "control", "embedding", "loss_sum", "probabilities"}));
}

TEST_P(Modes, TrainingLeavesThePredictionsAlone) {
    SmallModel model(*device_, config_);
    model.infer();
    const auto probabilities = model.get(Segment::State, "probabilities");
    const auto embedding = model.get(Segment::State, "embedding");
    model.set_control({.seed = 9, .learning_rate = 1e-3f});
    model.train();
    EXPECT_EQ(model.get(Segment::State, "probabilities"), probabilities);
    EXPECT_EQ(model.get(Segment::State, "embedding"), embedding);
}

TEST_P(Modes, PredictionsStandInTheRowsOfTheirClips) {
    SmallModel model(*device_, config_);
    const auto rows = static_cast<size_t>(config_.rows), classes = static_cast<size_t>(config_.model.classes);
    const std::vector<float> unset(rows * classes, -5.0f);
    model.set(Segment::State, "probabilities", unset);
    model.set_order({4, 1, -1});
    model.infer();
    const std::vector<float> table = model.get(Segment::State, "probabilities");
    const std::vector<float> embeddings = model.get(Segment::State, "embedding");
    const std::vector<float> weights = model.get(Segment::Parameters, "head.classifier.weight");
    const std::vector<float> bias = model.get(Segment::Parameters, "head.classifier.bias");
    const size_t width = embeddings.size() / rows;
    EXPECT_EQ(weights.size(), classes * width);
    for (size_t row = 0; row < rows; ++row) {
        const std::vector<float> actual(table.begin() + static_cast<ptrdiff_t>(row * classes),
                                        table.begin() + static_cast<ptrdiff_t>((row + 1) * classes));
        if (row != 4 && row != 1) {
            EXPECT_EQ(actual, std::vector<float>(classes, -5.0f)) << "clip " << row << " was not in the batch";
            continue;
        }
        std::vector<double> expected(classes); // softmax(W embedding + b)
        double sum = 0;
        for (size_t k = 0; k < classes; ++k) {
            double logit = bias[k];
            for (size_t d = 0; d < width; ++d) logit += weights[k * width + d] * embeddings[row * width + d];
            sum += expected[k] = std::exp(logit);
        }
        for (double& value : expected) value /= sum;
        EXPECT_TRUE(all_close(std::span<const float>(actual), std::span<const double>(expected), {.absolute = 1e-5}));
    }
    // The same clips at other positions of the batch, and a table that is reset.
    model.set(Segment::State, "probabilities", unset);
    model.set_order({1, 3, 4});
    model.set_control({.seed = 9});
    model.infer();
    const std::vector<float> again = model.get(Segment::State, "probabilities");
    for (const size_t row : {1, 4})
        for (size_t k = 0; k < classes; ++k)
            EXPECT_NEAR(again[row * classes + k], table[row * classes + k], 1e-5) << "clip " << row;
    double apart = 0;
    for (size_t k = 0; k < classes; ++k) apart += std::abs(table[4 * classes + k] - table[1 * classes + k]);
    EXPECT_GT(apart, 1e-4) << "two clips look the same to this network";
}

TEST_P(Modes, InferenceFoldsOnceAndComputesNoGradient) {
    SmallModel model(*device_, config_);
    int from_parameters = 0;
    for (const Op& op : model.inference.ops) {
        const bool setup = op.kind.find("fold") != std::string::npos || op.kind == "conv2d_prepare_weights";
        from_parameters += setup ? 1 : 0;
        EXPECT_EQ(op.phase, setup ? Phase::Setup : Phase::Forward) << op.name;
        const bool is_loss = op.kind == "softmax_loss";
        EXPECT_FALSE(is_loss && op.writes.size() != 2) << "loss and probabilities alone";
    }
    EXPECT_GT(from_parameters, 4);
    std::map<Phase, int> trained;
    for (const Op& op : model.training.ops) ++trained[op.phase];
    EXPECT_TRUE(trained.contains(Phase::Forward) && trained.contains(Phase::Backward));
    EXPECT_EQ(trained[Phase::Update], 2) << "Adam, and the counters";
    EXPECT_FALSE(trained.contains(Phase::Setup));
}

TEST_P(Modes, EmbeddingsAreWrittenWhereAskedFor) {
    config_.embeddings = false;
    Variables variables;
    const Program program = build_inference_step(device_->planner(), variables, config_, config_.batch);
    EXPECT_EQ(variables.find(Segment::State, "embedding"), nullptr);
    EXPECT_NE(variables.find(Segment::State, "probabilities"), nullptr);
}

TEST_P(Modes, CityAndTimeAreThoseOfTheClips) {
    SmallModel model(*device_, config_);
    model.set_order({4, 1, 2});
    model.infer();
    const std::vector<float> before = model.get(Segment::State, "probabilities");
    const auto rows_that_change = [&] {
        model.set_control({.seed = 9});
        model.infer();
        const std::vector<float> after = model.get(Segment::State, "probabilities");
        std::set<size_t> rows;
        for (size_t i = 0; i < after.size(); ++i)
            if (std::abs(after[i] - before[i]) > 1e-5f) rows.insert(i / static_cast<size_t>(config_.model.classes));
        return rows;
    };
    const std::vector<int32_t> city = model.get<int32_t>(Segment::State, "city");
    std::vector<int32_t> moved = city;
    moved[4] = (city[4] + 1) % static_cast<int32_t>(config_.model.cities);
    moved[6] = moved[4]; // not in the batch
    model.set(Segment::State, "city", moved);
    EXPECT_EQ(rows_that_change(), std::set<size_t>{4});
    model.set(Segment::State, "city", city);
    std::vector<float> time = model.get(Segment::State, "time");
    for (size_t i = 0; i < time_inputs; ++i) time[time_inputs + i] = 3 - time[time_inputs + i];
    model.set(Segment::State, "time", time);
    EXPECT_EQ(rows_that_change(), std::set<size_t>{1});
}

TEST_P(Modes, BatchNormsAreFoldedBySetupAlone) {
    SmallModel model(*device_, config_);
    const auto folded = [&] { return model.get(Segment::State, "input_norm.folded_scale"); };
    model.infer();
    const std::vector<float> of_first_values = folded();
    model.set_control({.seed = 9, .learning_rate = 1e-3f});
    model.train();
    model.set_control({.seed = 9});
    model.executor.run(model.inference);
    EXPECT_EQ(folded(), of_first_values) << "a step folds nothing";
    model.executor.setup(model.inference);
    const std::vector<float> gamma = model.get(Segment::Parameters, "input_norm.weight");
    const std::vector<float> variance = model.get(Segment::Statistics, "input_norm.running_var");
    for (size_t i = 0; i < gamma.size(); ++i) EXPECT_NEAR(folded()[i], gamma[i] / std::sqrt(variance[i] + 1e-5), 1e-5);
}

} // namespace
} // namespace scene::test
