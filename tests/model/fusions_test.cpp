// A step gives the same result whatever fusions the device offers, and every op touches only the operands that it
// declares.

#include <cstring>

#include <gtest/gtest.h>

#include "tests/model/small_model.h"
#include "tests/support/compare.h"
#include "tests/support/forwarding_device.h"
#include "tests/support/half_width_device.h"

namespace scene::test {
namespace {

/// Offers or withholds one fusion. The CPU's ops support all of them.
class OtherFusions : public ForwardingPlanner {
public:
    using ForwardingPlanner::ForwardingPlanner;
    bool ConvFusion::*part = nullptr;
    bool offered = false;

    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override {
        ConvFusion fusion = ForwardingPlanner::conv2d_fusion(shape);
        // The closed form is for few input channels and a convolution whose data gradient is not needed.
        if (part != &ConvFusion::closed_form_bn || shape.in_channels <= 3) fusion.*part = offered;
        return fusion;
    }
};

class Offering : public ForwardingDevice<Offering, OtherFusions> {
public:
    Offering(bool ConvFusion::*part, bool offered) {
        plans().part = part;
        plans().offered = offered;
    }
};

/// A fusion, and a kind of op that occurs more often with it, or without it if it is not offered.
struct Case {
    const char* name;
    bool ConvFusion::*part;
    bool offered;
    const char* kind;
    bool in_training;
};

const Case cases[] = {
    {"NoInputNorm", &ConvFusion::normalize_input, false, "batch_norm_forward", true},
    {"NoStatistics", &ConvFusion::statistics, false, "batch_norm_statistics", true},
    {"NoBias", &ConvFusion::bias_relu, false, "batch_norm_forward", false},
    {"BnReduce", &ConvFusion::bn_reduce, true, "conv2d_data_grad_bn_reduce", true},
    {"ClosedFormBn", &ConvFusion::closed_form_bn, true, "conv2d_bn_statistics", true},
};

int64_t count(const Program& program, const std::string& kind) {
    return std::count_if(program.ops.begin(), program.ops.end(), [&](const Op& op) { return op.kind == kind; });
}

class Fusions : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Parts, Fusions, testing::ValuesIn(cases),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(Fusions, GiveTheSameStep) {
    StepConfig config = small_step(&fcnn, false, false);
    config.model.frames = 65; // wide enough for the convolutions that normalise on load
    config.model.bands = 40;
    const auto usual = make_cpu_device(1);
    Offering offering(GetParam().part, GetParam().offered);
    SmallModel plain(*usual, config), fused(offering, config);
    const auto with = [&](const SmallModel& model) {
        return count(GetParam().in_training ? model.training : model.inference, GetParam().kind);
    };
    EXPECT_GT(with(fused), with(plain)) << "the case does not occur in this network";
    EXPECT_EQ(count(fused.training, "batch_norm_apply_gradient"), count(fused.training, "conv2d_data_grad_bn_reduce"))
        << "sums that a data gradient has reduced are not reduced again";
    for (SmallModel* model : {&plain, &fused}) {
        model->train();
        model->set_control({.seed = 9});
        model->infer();
    }
    EXPECT_NEAR(fused.loss_sum(), plain.loss_sum(), 1e-4 * plain.loss_sum());
    const auto floats = [](const SmallModel& model, Segment segment) {
        std::map<std::string, std::vector<float>> out;
        for (const Variable* variable : model.variables.all(segment))
            out[variable->name] = model.get(segment, variable->name);
        return out;
    };
    // A relu whose input is within a rounding error of 0 may pass the gradient of that position or not.
    const GradientDistance distance =
        gradient_distance(floats(fused, Segment::Gradients), floats(plain, Segment::Gradients), 1e-3);
    EXPECT_LE(distance.whole, 0.01);
    EXPECT_LE(distance.largest, 0.05) << distance.parameter;
    const auto expected = floats(plain, Segment::Statistics);
    for (const auto& [name, actual] : floats(fused, Segment::Statistics))
        EXPECT_TRUE(all_close(std::span<const float>(actual), std::span<const float>(expected.at(name)),
                              {.absolute = 1e-5, .of_largest = 1e-4}, name));
    const std::vector<float> actual = fused.get(Segment::State, "probabilities");
    const std::vector<float> wanted = plain.get(Segment::State, "probabilities");
    EXPECT_TRUE(all_close(std::span<const float>(actual), std::span<const float>(wanted), {.absolute = 1e-3}));
}

/// A CPU device without prepared weights.
class NoPreparation : public ForwardingPlanner {
public:
    using ForwardingPlanner::ForwardingPlanner;
    PreparedWeights conv2d_prepared_weights(const Conv2dShape&) const override { return {}; }
};

class PreparingNothing : public ForwardingDevice<PreparingNothing, NoPreparation> {};

TEST(PreparedWeights, GiveTheSameInferenceAndFollowTheTraining) {
    for (const Network* network : networks()) {
        StepConfig config = small_step(network, false, false);
        config.model.width = 0.5; // wide enough for Winograd's convolutions
        const auto usual = make_cpu_device(1);
        PreparingNothing nothing;
        SmallModel prepared(*usual, config), plain(nothing, config);
        EXPECT_GT(count(prepared.inference, "conv2d_prepare_weights"), 0);
        EXPECT_EQ(count(plain.inference, "conv2d_prepare_weights"), 0);
        EXPECT_EQ(count(prepared.training, "conv2d_prepare_weights"), 0) << "weights change from step to step";
        for (int round = 0; round < 2; ++round) {
            for (SmallModel* model : {&prepared, &plain}) {
                model->set_control({.seed = 9, .learning_rate = 1e-3f});
                model->train();
                model->set_control({.seed = 9});
                model->infer();
            }
            EXPECT_EQ(prepared.get(Segment::State, "probabilities"), plain.get(Segment::State, "probabilities"));
        }
    }
}

/// Runs a program op by op in memory that the test owns.
class Bench {
public:
    Bench(Device& device, const SmallModel& model, const Program& program)
        : device_(device), program_(program), variables_(model.variables), externals_(program.tensors.size()),
          size_(model.variables.total_bytes() + program.transient_bytes) {
        memory_ = static_cast<std::byte*>(device.allocate(size_));
        for (const Segment segment : {Segment::Parameters, Segment::Statistics, Segment::State})
            for (const Variable* variable : model.variables.all(segment)) {
                const std::vector<std::byte> bytes = model.get<std::byte>(segment, variable->name);
                std::memcpy(memory_ + model.variables.base(segment) + variable->offset, bytes.data(), bytes.size());
            }
        for (size_t i = 0; i < program.tensors.size(); ++i)
            if (program.tensors[i].storage == Storage::External)
                externals_[i] = const_cast<float*>(model.features.data());
    }
    ~Bench() { device_.release(memory_); }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    void expect_honest(const Op& op) {
        const std::vector<std::byte> before(memory_, memory_ + size_);
        const Bindings bindings(program_, variables_, memory_, externals_);
        // First with only the operands that the op declares as read.
        std::memset(memory_, 0xFF, size_);
        for (const TensorId id : op.reads) copy(bindings[id], before, memory_);
        op.call(device_, bindings);
        const std::vector<std::byte> poisoned(memory_, memory_ + size_);
        std::copy(before.begin(), before.end(), memory_);
        op.call(device_, bindings);

        std::vector<bool> may_change(size_, false);
        std::vector<TensorId> written = op.writes;
        if (op.scratch) written.push_back(op.scratch);
        for (const TensorId id : written) {
            const Tensor tensor = bindings[id];
            const bool scratch = id == op.scratch;
            for (size_t at = offset(tensor); at < offset(tensor) + tensor.bytes(); ++at) {
                may_change[at] = true;
                const bool untouched = memory_[at] == before[at] && poisoned[at] == std::byte{0xFF};
                if (scratch || untouched || poisoned[at] == memory_[at]) continue;
                ADD_FAILURE() << op.name << " reads what it does not say, for " << program_.info(id).name;
                return;
            }
        }
        for (size_t at = 0; at < size_; ++at)
            if (!may_change[at] && memory_[at] != before[at]) {
                ADD_FAILURE() << op.name << " writes what it does not say, at byte " << at;
                return;
            }
    }

private:
    size_t offset(const Tensor& tensor) const {
        return static_cast<size_t>(static_cast<std::byte*>(tensor.data) - memory_);
    }
    void copy(const Tensor& tensor, const std::vector<std::byte>& from, std::byte* to) const {
        const auto* place = static_cast<std::byte*>(tensor.data);
        if (place < memory_ || place >= memory_ + size_) return; // external
        std::memcpy(to + offset(tensor), from.data() + offset(tensor), tensor.bytes());
    }

    Device& device_;
    const Program& program_;
    const Variables& variables_;
    std::vector<void*> externals_;
    size_t size_;
    std::byte* memory_;
};

TEST(Ops, TouchWhatTheySayAndNothingElse) {
    for (const Network* network : networks()) {
        StepConfig config = small_step(network, network == &se_trans, true);
        config.model.width = 0.01;
        config.embeddings = true;
        config.augmentation = {.roll = 3, .time_masks = 1, .time_mask = 3, .mixup_probability = 1, .mixup_alpha = 1};
        Offering offering(&ConvFusion::bn_reduce, true);
        SmallModel model(offering, config);
        for (const Program* program : {&model.training, &model.inference}) {
            Bench bench(offering, model, *program);
            for (const Op& op : program->ops)
                if (op.phase == Phase::Setup) bench.expect_honest(op);
            for (const Op& op : program->ops)
                if (op.phase != Phase::Setup) bench.expect_honest(op);
        }
    }
}

const Op* find(const Program& program, const std::string& name) {
    const auto found =
        std::find_if(program.ops.begin(), program.ops.end(), [&](const Op& op) { return op.name == name; });
    return found == program.ops.end() ? nullptr : &*found;
}

/// Only F16 has a loss scale.
void expect_half_width(Device& device, DType type) {
    SCOPED_TRACE(name_of(type));
    for (const Network* network : {&fcnn, &se_trans}) {
        const StepConfig config = small_step(network, false, true);
        Variables variables;
        const Program training = build_training_step(device.planner(), variables, config, 3);
        const Program inference = build_inference_step(device.planner(), variables, config, 3);
        for (const Program* program : {&training, &inference}) {
            const bool trains = program == &training;
            const Op* copies = find(*program, "half_parameters");
            ASSERT_NE(copies, nullptr);
            EXPECT_EQ(copies->phase, Phase::Setup);
            EXPECT_EQ(program->info(copies->writes.at(0)).segment, Segment::HalfParameters);
            EXPECT_EQ(program->info(copies->reads.at(0)).segment, Segment::Parameters);
            EXPECT_EQ(find(*program, "loss_scale") != nullptr, trains && type == DType::F16);
            size_t convolutions = 0;
            for (const Op& op : program->ops) {
                if (op.kind.starts_with("conv2d_")) {
                    ++convolutions;
                    const bool weight_grad = op.kind == "conv2d_weight_grad";
                    EXPECT_EQ(program->info(op.writes.at(0)).dtype, weight_grad ? DType::F32 : type) << op.name;
                    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(program->info(op.reads.at(i)).dtype, type) << op.name;
                    const TensorInfo& weights = program->info(op.reads.at(1));
                    const bool is_parameter = !weight_grad && weights.name.ends_with(".weight");
                    EXPECT_EQ(is_parameter ? weights.segment : Segment::HalfParameters, Segment::HalfParameters)
                        << op.name;
                }
                if (!op.kind.starts_with("linear_") && op.kind != "softmax_loss") continue;
                for (const TensorId id : op.writes) EXPECT_EQ(program->info(id).dtype, DType::F32) << op.name;
            }
            EXPECT_GT(convolutions, 3u);
        }
        // Adam updates the copy too; the loss scale is adjusted after the step, made or skipped.
        const auto place = [&](const char* name) { return find(training, name) - training.ops.data(); };
        const std::vector<TensorId>& written = find(training, "adam")->writes;
        EXPECT_TRUE(std::any_of(written.begin(), written.end(), [&](TensorId id) {
            return training.info(id).segment == Segment::HalfParameters && training.info(id).dtype == type;
        }));
        EXPECT_LT(place("adam"), place("advance"));
        if (network == &fcnn) { // what a convolution adds in inference is cast once, in setup
            const Op *cast = find(inference, "block2.conv1.fold_bias"), *adds = find(inference, "block2.conv1.forward");
            ASSERT_NE(cast, nullptr);
            EXPECT_EQ(cast->phase, Phase::Setup);
            EXPECT_EQ(inference.info(adds->reads.back()).name, "block2.conv1.folded_bias");
            EXPECT_EQ(inference.info(adds->reads.back()).dtype, type);
        }
        if (type == DType::F16) { EXPECT_LT(place("advance"), place("loss_scale")); }
        EXPECT_EQ(variables.bytes(Segment::HalfParameters), variables.bytes(Segment::Parameters) / 2);
        EXPECT_EQ(variables.find(Segment::HalfParameters, "block1.conv2.weight")->offset,
                  variables.find(Segment::Parameters, "block1.conv2.weight")->offset / 2);
    }
}

TEST(HalfPrecision, WeightsAndActivationsOfConvolutionsAreHalvesAndNothingElseIs) {
    HalfWidthDevice<DType::F16> half;
    HalfWidthDevice<DType::BF16> bfloat;
    expect_half_width(half, DType::F16);
    expect_half_width(bfloat, DType::BF16);
}

TEST(HalfPrecision, IsNotThereWhereActivationsAreSingle) {
    const auto device = make_cpu_device(1);
    Variables variables;
    const Program training = build_training_step(device->planner(), variables, small_step(&fcnn, false, false), 3);
    EXPECT_EQ(find(training, "half_parameters"), nullptr);
    EXPECT_EQ(find(training, "loss_scale"), nullptr);
    EXPECT_EQ(count(training, "convert"), 0);
    EXPECT_EQ(variables.bytes(Segment::HalfParameters), 0u);
}

} // namespace
} // namespace scene::test
