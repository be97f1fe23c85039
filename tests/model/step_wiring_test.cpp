// The effect of each setting of a step on loss, gradients and parameters, against a few lines in double each.

#include <cmath>

#include <gtest/gtest.h>

#include "tests/model/small_model.h"
#include "tests/support/compare.h"
#include "tests/support/forwarding_device.h"

namespace scene::test {
namespace {

StepConfig small_config() {
    StepConfig config = small_step(&se_trans, false, false);
    config.model.classes = 5;
    return config;
}

constexpr size_t classes = 5;
const std::vector<float> logits = {0.5f, -1, 2, 0.25f, -0.5f};

std::vector<double> softmax_of_logits() {
    std::vector<double> p;
    double sum = 0;
    for (const float logit : logits) p.push_back(std::exp(static_cast<double>(logit))), sum += p.back();
    for (double& value : p) value /= sum;
    return p;
}

/// A row of the target with label smoothing.
std::vector<double> smoothed(const float* target, double smoothing) {
    std::vector<double> q;
    for (size_t k = 0; k < classes; ++k) q.push_back((1 - smoothing) * target[k] + smoothing / classes);
    return q;
}

/// With a classifier that gives every clip the same logits, loss and gradient depend only on targets, weights and
/// smoothing. The batch is clips 4, 2 and 6; the target of clip 2 has two classes, clip 6 has none.
class KnownLogits : public testing::TestWithParam<float> {
protected:
    void prepare(SmallModel& model) const {
        model.set_classifier(logits);
        float* soft = &model.target[2 * classes];
        std::fill_n(soft, classes, 0.0f);
        soft[0] = 0.375f, soft[3] = 0.625f;
        std::fill_n(&model.target[6 * classes], classes, 0.0f);
        model.weight[6] = 0;
        model.set_tables();
        model.set_order({4, 2, 6});
    }
    double expected_loss(const SmallModel& model) const {
        const std::vector<double> p = softmax_of_logits();
        double loss = 0;
        for (const size_t clip : {4, 2, 6}) {
            const std::vector<double> q = smoothed(&model.target[clip * classes], GetParam());
            for (size_t k = 0; k < classes; ++k) loss -= model.weight[clip] * q[k] * std::log(p[k]);
        }
        return loss;
    }
    /// One count for clip 4 (class 12 mod 5) and one for clip 2 (its larger half); clip 6 is unlabelled.
    std::vector<int32_t> expected_confusion() const {
        std::vector<int32_t> confusion(classes * classes);
        ++confusion[2 * classes + 2];
        ++confusion[3 * classes + 2];
        return confusion;
    }

    std::unique_ptr<Device> device_ = make_cpu_device(1);
};
INSTANTIATE_TEST_SUITE_P(Smoothing, KnownLogits, testing::Values(0.0f, 0.1f, 0.5f));

TEST_P(KnownLogits, GiveLossAndConfusionInBothModes) {
    StepConfig config = small_config();
    config.label_smoothing = GetParam();
    SmallModel model(*device_, config);
    prepare(model);
    for (const bool training : {true, false}) {
        model.clear_metrics();
        double loss = 0;
        std::vector<int32_t> confusion(classes * classes);
        for (int run = 0; run < 2; ++run) { // metrics add up
            prepare(model);
            model.set_control({.seed = 9, .loss_scale = 8});
            training ? model.train() : model.infer();
            loss += expected_loss(model);
            for (size_t i = 0; i < confusion.size(); ++i) confusion[i] += expected_confusion()[i];
        }
        EXPECT_NEAR(model.loss_sum(), loss, 1e-5 * loss) << "training: " << training;
        EXPECT_EQ(model.get<int32_t>(Segment::State, "confusion"), confusion) << "training: " << training;
    }
}

TEST_P(KnownLogits, GiveTheGradientOfTheClassifiersBias) {
    StepConfig config = small_config();
    config.label_smoothing = GetParam();
    SmallModel model(*device_, config);
    prepare(model);
    for (const float scale : {1.0f, 64.0f}) {
        prepare(model);
        model.set_control({.seed = 9, .loss_scale = scale});
        model.train();
        const std::vector<double> p = softmax_of_logits();
        std::vector<double> expected(classes);
        for (const size_t clip : {4, 2, 6}) {
            const std::vector<double> q = smoothed(&model.target[clip * classes], GetParam());
            for (size_t k = 0; k < classes; ++k)
                expected[k] += static_cast<double>(scale) * model.weight[clip] / 3 * (p[k] - q[k]);
        }
        const std::vector<float> actual = model.get(Segment::Gradients, "head.classifier.bias");
        EXPECT_TRUE(all_close(std::span<const float>(actual), std::span<const double>(expected), {.of_largest = 1e-5}));
    }
}

/// Adam as Kingma and Ba write it, with PyTorch's weight decay, on every parameter of the network for three steps.
TEST(AdamOfAStep, UpdatesEveryParameterByItsSettings) {
    const auto device = make_cpu_device(1);
    const AdamSettings cases[] = {{},
                                  {.beta1 = 0.5f, .beta2 = 0.9f},
                                  {.epsilon = 0.25f},
                                  {.weight_decay = 0.125f},
                                  {.beta1 = 0.8f, .beta2 = 0.99f, .epsilon = 1e-3f, .weight_decay = 0.5f}};
    for (const AdamSettings& settings : cases) {
        StepConfig config = small_config();
        config.adam = settings;
        SmallModel model(*device, config);
        const double b1 = settings.beta1, b2 = settings.beta2, rate = 0.01f, scale = 4;
        std::map<std::string, std::vector<double>> first, second;
        for (int t = 1; t <= 3; ++t) {
            std::map<std::string, std::vector<float>> before;
            for (const Variable* parameter : model.variables.all(Segment::Parameters))
                before[parameter->name] = model.get(Segment::Parameters, parameter->name);
            model.set_control(
                {.seed = 9, .step = static_cast<uint32_t>(t - 1), .learning_rate = 0.01f, .loss_scale = 4});
            model.train();
            for (const auto& [name, w] : before) {
                const std::vector<float> gradient = model.get(Segment::Gradients, name);
                const std::vector<float> after = model.get(Segment::Parameters, name);
                std::vector<double>&m = first[name], &v = second[name];
                m.resize(w.size()), v.resize(w.size());
                std::vector<double> moved;
                std::vector<float> actual;
                for (size_t i = 0; i < w.size(); ++i) {
                    const double g = gradient[i] / scale + settings.weight_decay * w[i];
                    m[i] = b1 * m[i] + (1 - b1) * g;
                    v[i] = b2 * v[i] + (1 - b2) * g * g;
                    const double m_hat = m[i] / (1 - std::pow(b1, t)), v_hat = v[i] / (1 - std::pow(b2, t));
                    moved.push_back(-rate * m_hat / (std::sqrt(v_hat) + settings.epsilon));
                    actual.push_back(after[i] - w[i]);
                }
                EXPECT_TRUE(all_close(std::span<const float>(actual), std::span<const double>(moved),
                                      {.absolute = 5e-7, .relative = 1e-3}, name + ", step " + std::to_string(t)));
                const std::vector<float> stored_m = model.get(Segment::FirstMoment, name);
                const std::vector<float> stored_v = model.get(Segment::SecondMoment, name);
                EXPECT_TRUE(all_close(std::span<const float>(stored_m), std::span<const double>(m),
                                      {.absolute = 1e-12, .of_largest = 1e-5}, name + ", first moment"));
                EXPECT_TRUE(all_close(std::span<const float>(stored_v), std::span<const double>(v),
                                      {.absolute = 1e-12, .of_largest = 1e-5}, name + ", second moment"));
            }
        }
    }
}

TEST(AdamOfAStep, GradientsAreOfThisStepAlone) {
    const auto device = make_cpu_device(1);
    StepConfig config = small_config();
    config.model.encoder_dropout = 0;
    SmallModel model(*device, config);
    std::map<std::string, std::vector<std::byte>> once;
    for (int run = 0; run < 2; ++run) {
        model.set_control({.seed = 9}); // a learning rate of 0: the parameters stay
        model.train();
        if (run == 0) once = model.bytes(Segment::Gradients);
    }
    EXPECT_EQ(model.bytes(Segment::Gradients), once);
}

/// Records the output of the augmentation ops and the network's input.
class AugmentationSpy : public ForwardingDevice<AugmentationSpy> {
public:
    Augmentation settings;
    int64_t frames = 0, bands = 0;
    std::vector<ClipDraw> draws;
    std::vector<float> input, target, weight, counted;
    int moments = 0, mixed = 0;

    void intercept(const DrawAugmentation<Tensor>& op) {
        inner().run(op);
        settings = op.sampler.settings, frames = op.frames, bands = op.bands;
        const auto* drawn = static_cast<const ClipDraw*>(op.draws.data);
        draws.assign(drawn, drawn + op.draws.bytes() / sizeof(ClipDraw));
    }
    void intercept(const BandMoments<Tensor>& op) {
        inner().run(op);
        ++moments;
    }
    void intercept(const MixTargets<Tensor>& op) {
        inner().run(op);
        ++mixed;
    }
    void intercept(const BatchNormStatistics<Tensor>& op) {
        if (input.empty()) input = values(op.x); // the network's first op
        inner().run(op);
    }
    void intercept(const SoftmaxLoss<Tensor>& op) {
        target = values(op.target), weight = values(op.weight);
        inner().run(op);
    }
    void intercept(const AccumulateMetrics<Tensor>& op) {
        counted = values(op.target);
        inner().run(op);
    }

private:
    static std::vector<float> values(Tensor x) { return {x.as<float>(), x.as<float>() + x.elements()}; }
};

const Augmentation everything{.roll = 5,
                              .gain = 3,
                              .style_probability = 1,
                              .style_alpha = 0.5f,
                              .frequency_masks = 1,
                              .frequency_mask = 4,
                              .time_masks = 2,
                              .time_mask = 6,
                              .mixup_probability = 1,
                              .mixup_alpha = 0.75f};

std::vector<std::string> kinds_of(const Program& program) {
    std::vector<std::string> kinds;
    for (const Op& op : program.ops) kinds.push_back(op.kind);
    return kinds;
}

TEST(AugmentedStep, InferenceNeverAugments) {
    const auto device = make_cpu_device(1);
    StepConfig config = small_config();
    SmallModel plain(*device, config);
    config.augmentation = everything;
    AugmentationSpy spy;
    SmallModel augmented(spy, config);
    EXPECT_EQ(kinds_of(augmented.inference), kinds_of(plain.inference));
    EXPECT_NE(kinds_of(augmented.training), kinds_of(plain.training));
    plain.infer();
    augmented.infer();
    EXPECT_EQ(augmented.get(Segment::State, "probabilities"), plain.get(Segment::State, "probabilities"));
    EXPECT_EQ(augmented.loss_sum(), plain.loss_sum());
    EXPECT_TRUE(spy.draws.empty());
}

TEST(AugmentedStep, EveryPartHasTheOpsItNeeds) {
    const struct {
        Augmentation settings;
        int draws, moments, mixed;
    } cases[] = {{{}, 0, 0, 0},
                 {{.roll = 3}, 1, 0, 0},
                 {{.gain = 3}, 1, 0, 0},
                 {{.style_probability = 1, .style_alpha = 1}, 1, 1, 0},
                 {{.frequency_masks = 1, .frequency_mask = 3}, 1, 1, 0},
                 {{.time_masks = 1, .time_mask = 3}, 1, 1, 0},
                 {{.mixup_probability = 1, .mixup_alpha = 1}, 1, 0, 1},
                 {everything, 1, 1, 1}};
    for (const auto& one : cases) {
        AugmentationSpy spy;
        StepConfig config = small_config();
        config.augmentation = one.settings;
        SmallModel model(spy, config);
        model.train();
        EXPECT_EQ(spy.draws.size(), one.draws ? 3u : 0u);
        EXPECT_EQ(spy.moments, one.moments);
        EXPECT_EQ(spy.mixed, one.mixed);
        if (one.draws == 0) continue;
        EXPECT_EQ(spy.settings, one.settings);
        EXPECT_EQ(spy.frames, config.model.frames);
        EXPECT_EQ(spy.bands, config.model.bands);
    }
}

/// Compares the inputs of network, loss and metrics with roll, gain and mixup by their definitions.
TEST(AugmentedStep, TheNetworkTheLossAndTheMetricsGetTheAugmentedBatch) {
    AugmentationSpy spy;
    StepConfig config = small_config();
    config.augmentation = {.roll = 5, .gain = 3, .mixup_probability = 1, .mixup_alpha = 1};
    SmallModel model(spy, config);
    model.set_order({4, 2, 5});
    model.train();
    const size_t clips[] = {4, 2, 5};
    const int64_t frames = config.model.frames, bands = config.model.bands, size = frames * bands;
    ASSERT_EQ(spy.draws.size(), 3u);
    ASSERT_LT(spy.draws[0].mix_share, 1);
    const auto changed = [&](size_t n, int64_t t, int64_t f) { // clip n of the batch before mixup
        const int64_t from = (t - spy.draws[n].roll + frames) % frames;
        return model.features[static_cast<size_t>(static_cast<int64_t>(clips[n]) * size + from * bands + f)] +
               static_cast<double>(spy.draws[n].gain);
    };
    std::vector<double> input, target, weight;
    for (size_t n = 0; n < 3; ++n) {
        const double s = spy.draws[n].mix_share;
        const auto m = static_cast<size_t>(spy.draws[n].mix_partner);
        for (int64_t t = 0; t < frames; ++t)
            for (int64_t f = 0; f < bands; ++f) input.push_back(s * changed(n, t, f) + (1 - s) * changed(m, t, f));
        const double own = s * model.weight[clips[n]], other = (1 - s) * model.weight[clips[m]];
        weight.push_back(own + other);
        for (size_t k = 0; k < classes; ++k)
            target.push_back(
                (own * model.target[clips[n] * classes + k] + other * model.target[clips[m] * classes + k]) /
                (own + other));
    }
    EXPECT_TRUE(all_close(std::span<const float>(spy.input), std::span<const double>(input), {.absolute = 1e-4}));
    EXPECT_TRUE(all_close(std::span<const float>(spy.target), std::span<const double>(target), {.absolute = 1e-6}));
    EXPECT_TRUE(all_close(std::span<const float>(spy.weight), std::span<const double>(weight), {.absolute = 1e-6}));
    EXPECT_EQ(spy.counted, spy.target);
}

/// The parameters of a network, written down independently.
std::map<std::string, Shape> expected_parameters(const ModelConfig& m) {
    std::map<std::string, Shape> out;
    const auto scaled = [&](double channels) {
        return std::max<int64_t>(8, 8 * static_cast<int64_t>(std::floor(channels * m.width / 8 + 0.5)));
    };
    const auto norm = [&](const std::string& name, int64_t channels) {
        out[name + ".weight"] = out[name + ".bias"] = Shape{channels};
    };
    const int64_t inputs = m.deltas ? 3 : 1;
    norm("input_norm", m.bands * inputs);
    int64_t channels = inputs;
    const auto conv = [&](const std::string& block, const std::string& number, int64_t to, int64_t kernel) {
        out[block + ".conv" + number + ".weight"] = Shape{to, kernel, kernel, channels};
        norm(block + ".norm" + number, to);
        channels = to;
    };
    if (m.network == &fcnn) {
        conv("block1", "1", scaled(144), 5);
        conv("block1", "2", scaled(144), 3);
        for (const char* number : {"1", "2"}) conv("block2", number, scaled(288), 3);
        for (const char* number : {"1", "2", "3", "4"}) conv("block3", number, scaled(576), 3);
        conv("embed", "", 128, 1);
    } else if (m.network == &se_trans) {
        for (const int block : {1, 2})
            for (const char* number : {"1", "2"}) {
                const std::string name = "block" + std::to_string(block);
                conv(name, number, scaled(64 * block), 3);
                const int64_t hidden = std::max<int64_t>(1, channels / 16);
                out[name + ".se" + number + ".reduce.weight"] = Shape{hidden, channels};
                out[name + ".se" + number + ".expand.weight"] = Shape{channels, hidden};
            }
    } else if (m.network == &small_cnn) {
        for (const int index : {1, 2, 3, 4}) {
            const int64_t to = scaled(8 << index);
            out["conv" + std::to_string(index) + ".weight"] = Shape{to, 3, 3, channels};
            norm("norm" + std::to_string(index), to);
            channels = to;
        }
    } else {
        ADD_FAILURE() << m.network->name << " is not written down here";
    }
    const auto linear = [&](const std::string& name, int64_t to, int64_t from) {
        out[name + ".weight"] = Shape{to, from};
        out[name + ".bias"] = Shape{to};
    };
    const int64_t d = channels;
    out["encoder.self_attn.in_proj_weight"] = Shape{3 * d, d};
    out["encoder.self_attn.in_proj_bias"] = Shape{3 * d};
    linear("encoder.self_attn.out_proj", d, d);
    linear("encoder.linear1", 32, d);
    linear("encoder.linear2", d, 32);
    norm("encoder.norm1", d);
    norm("encoder.norm2", d);
    if (m.multimodal) {
        out["head.city.weight"] = Shape{m.cities, 16};
        linear("head.time", 16, 8);
        linear("head.fuse", 128, d + 16 + 16);
    }
    linear("head.classifier", m.classes, m.multimodal ? 128 : d);
    return out;
}

struct Table {
    Shape shape;
    DType dtype = DType::F32;
    bool operator==(const Table&) const = default;
};

/// The tables that the comment of step.h lists.
std::map<std::string, Table> expected_tables(const StepConfig& config, int64_t max_batch, bool inference) {
    const ModelConfig& m = config.model;
    const int64_t r = config.rows, k = m.classes;
    std::map<std::string, Table> out{{"order", {Shape{r + max_batch}, DType::I32}},
                                     {"target", {Shape{r, k}}},
                                     {"weight", {Shape{r}}},
                                     {"loss_sum", {Shape{1}, DType::F64}},
                                     {"confusion", {Shape{k, k}, DType::I32}},
                                     {"control", {Shape{static_cast<int64_t>(sizeof(StepControl))}, DType::U8}}};
    if (m.multimodal) out["city"] = {Shape{r}, DType::I32}, out["time"] = {Shape{r, 8}};
    if (inference) out["probabilities"] = {Shape{r, k}};
    if (inference && config.embeddings)
        out["embedding"] = {Shape{r, expected_parameters(m).at("head.classifier.weight")[1]}};
    return out;
}

TEST(SettingsOfAStep, DecideParametersAndTablesAndNothingElse) {
    const auto device = make_cpu_device(1);
    std::vector<std::function<void(StepConfig&)>> changes{
        [](StepConfig&) {},
        [](StepConfig& c) { c.model.width = 0.17; },
        [](StepConfig& c) { c.model.classes = 3; },
        [](StepConfig& c) { c.model.frames = 41; },
        [](StepConfig& c) { c.model.bands = 24; },
        [](StepConfig& c) { c.model.deltas = true; },
        [](StepConfig& c) { c.model.multimodal = false; },
        [](StepConfig& c) { c.model.cities = 9; },
        [](StepConfig& c) { c.model.conv_dropout = c.model.encoder_dropout = 0.5f; },
        [](StepConfig& c) { c.batch = 5; },
        [](StepConfig& c) { c.rows = 11; },
        [](StepConfig& c) { c.label_smoothing = 0; },
        [](StepConfig& c) { c.embeddings = true; },
        [](StepConfig& c) { c.augmentation = everything; },
    };
    for (const Network* network : networks()) {
        for (size_t i = 0; i < changes.size(); ++i) {
            StepConfig config = small_step(network, false, true);
            changes[i](config);
            for (const bool inference : {false, true}) {
                SCOPED_TRACE("change " + std::to_string(i) + ", inference " + std::to_string(inference));
                Variables variables;
                const Program program = inference ? build_inference_step(device->planner(), variables, config, 6)
                                                  : build_training_step(device->planner(), variables, config, 6);
                std::map<std::string, Shape> parameters;
                for (const Variable* variable : variables.all(Segment::Parameters))
                    parameters[variable->name] = variable->shape;
                EXPECT_EQ(parameters, expected_parameters(config.model));
                for (const Segment segment : {Segment::Gradients, Segment::FirstMoment, Segment::SecondMoment})
                    EXPECT_EQ(variables.all(segment).size(), inference ? 0 : parameters.size());
                std::map<std::string, Table> tables;
                for (const Variable* variable : variables.all(Segment::State))
                    if (!is_made_in_setup(variable->name)) tables[variable->name] = {variable->shape, variable->dtype};
                EXPECT_EQ(tables, expected_tables(config, 6, inference));
                std::vector<std::pair<std::string, Shape>> external;
                for (const TensorInfo& tensor : program.tensors)
                    if (tensor.storage == Storage::External) external.emplace_back(tensor.name, tensor.shape);
                ASSERT_EQ(external.size(), 1u);
                EXPECT_EQ(external[0].first, "features");
                EXPECT_EQ(external[0].second, (Shape{config.rows, config.model.frames, config.model.bands}));
                EXPECT_EQ(program.name, std::string(network->title) + " " + (inference ? "inference" : "training") +
                                            " batch " + std::to_string(config.batch));
            }
        }
    }
}

/// The decay is applied after Adam's update. In the first step that update is the same with and without the decay.
TEST(DecoupledDecay, ShrinksWeightsAndNoBiasesOrNorms) {
    const auto device = make_cpu_device(1);
    StepConfig config = small_step(&se_trans, false, true);
    SmallModel plain(*device, config);
    config.decoupled_decay = 100;
    SmallModel decayed(*device, config);
    plain.train();
    decayed.train();
    for (const Variable* parameter : plain.variables.all(Segment::Parameters)) {
        std::vector<float> expected = plain.get(Segment::Parameters, parameter->name);
        if (parameter->shape.rank() >= 2)
            for (float& value : expected) value *= 1 - 1e-3f * config.decoupled_decay; // the learning rate's share
        const std::vector<float> actual = decayed.get(Segment::Parameters, parameter->name);
        EXPECT_TRUE(
            all_close(std::span(actual), std::span<const float>(expected), {.relative = 1e-6}, parameter->name));
    }
}

/// The planned bytes are the bytes that the device holds, before and after a run.
TEST(Memory, ADeviceHoldsWhatThePlanSays) {
    for (const Network* network : networks()) {
        for (const Mode mode : {Mode::Training, Mode::Inference}) {
            const auto device = make_cpu_device(2);
            SmallStep step(*device, small_step(network, false, true), mode);
            const size_t planned = step.runner().variables().total_bytes() + step.program().transient_bytes;
            EXPECT_EQ(device->info().allocated_bytes, planned) << network->name;
            step.run();
            step.run();
            EXPECT_EQ(device->info().allocated_bytes, planned) << network->name << " after two steps";
        }
    }
}

} // namespace
} // namespace scene::test
