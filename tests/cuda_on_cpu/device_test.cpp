// CudaDevice as a whole on the emulator, against CpuDevice: training and inference steps of small networks, recorded
// and replayed, in F32, in F16 with loss scaling and in BF16. Convolutions and matrix products are stand-ins for the
// libraries'.

#include "kernels/cuda/autotune/quickest.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/device_buffer.h"
#include "kernels/error.h"
#include "tests/cuda_on_cpu/library_stand_ins.h"
#include "tests/cuda_on_cpu/support.h"
#include "tests/support/expect_error.h"
#include "tests/support/run_with_scratch.h"
#include "tests/support/small_step.h"

namespace scene::test {
namespace {

cuda::CudaDevice emulated_device(DType activation, Fusions fusions = Fusions::Never) {
    return {activation, convolutions_on_cpu(activation), gemm_on_cpu(), fusions};
}

struct NetworkCase {
    const char* name;
    StepConfig config;
};

std::vector<NetworkCase> network_cases() {
    return {{"FCNN, multimodal", small_step(&fcnn, false, true)},
            {"SE-Trans, deltas", small_step(&se_trans, true, false)}};
}

/// The first step runs op by op, later ones replay its record. The learning rate is so small that both devices keep the
/// same parameters: Adam's first updates follow the signs of gradients, however small the gradients are.
void compare_training_steps_in_float(Fusions fusions) {
    for (const auto& [name, config] : network_cases()) {
        SCOPED_TRACE(name);
        cuda::CudaDevice device = emulated_device(DType::F32, fusions);
        SmallStep expected(cpu(), config, Mode::Training), actual(device, config, Mode::Training);
        const auto before = actual.all(Segment::Parameters);
        for (SmallStep* step : {&expected, &actual}) step->set_control({.seed = 9, .learning_rate = 1e-7f});
        for (int step = 0; step < 2; ++step) {
            expected.run();
            actual.run();
            EXPECT_NEAR(actual.loss_sum(), expected.loss_sum(), 1e-4 * expected.loss_sum()) << "step " << step;
            const GradientDistance distance =
                gradient_distance(actual.all(Segment::Gradients), expected.all(Segment::Gradients), 1e-4);
            EXPECT_LE(distance.largest, 1e-3) << distance.parameter << ", step " << step;
        }
        EXPECT_NE(actual.all(Segment::Parameters), before);
        EXPECT_EQ(actual.control().step, 2u);
        EXPECT_EQ(actual.control().loss_scale, 1.0f);
    }
}

TEST(CudaDevice, TrainingStepsInFloat) { compare_training_steps_in_float(Fusions::Never); }
TEST(CudaDevice, FusedTrainingStepsInFloat) { compare_training_steps_in_float(Fusions::Always); }

/// Only F16 has a loss scale: in BF16 it stays as it is and no steps are counted.
void compare_training_steps_in(DType type, Fusions fusions) {
    const bool scaled = type == DType::F16;
    const float scale = scaled ? 1024 : 1;
    for (const auto& [name, config] : network_cases()) {
        SCOPED_TRACE(name);
        cuda::CudaDevice device = emulated_device(type, fusions);
        SmallStep expected(cpu(), config, Mode::Training), actual(device, config, Mode::Training);
        SmallStep rounded(cpu(), config, Mode::Training);
        rounded.round_parameters(type);
        rounded.run();
        actual.set_control({.seed = 9, .learning_rate = 1e-3f, .loss_scale = scale});
        for (int step = 0; step < 2; ++step) {
            expected.run();
            actual.run();
            EXPECT_NEAR(actual.loss_sum(), expected.loss_sum(), 0.02 * expected.loss_sum()) << "step " << step;
            if (step > 0) continue;
            const GradientDistance distance =
                gradient_distance(actual.all(Segment::Gradients), expected.all(Segment::Gradients), 1e-2, scale);
            const GradientDistance naive =
                gradient_distance(rounded.all(Segment::Gradients), expected.all(Segment::Gradients), 1e-2);
            EXPECT_LE(distance.whole, rounding_growth * naive.whole);
            EXPECT_LE(distance.whole, most_rounding_in(type)) << "no wrong op hides behind a sensitive network";
        }
        const StepControl control = actual.control();
        EXPECT_EQ(control.step, 2u);
        EXPECT_EQ(control.good_steps, scaled ? 2u : 0u);
        EXPECT_EQ(control.loss_scale, scale);
        EXPECT_EQ(control.nonfinite, 0u);
    }
}

TEST(CudaDevice, TrainingStepsInHalf) { compare_training_steps_in(DType::F16, Fusions::Never); }
TEST(CudaDevice, FusedTrainingStepsInHalf) { compare_training_steps_in(DType::F16, Fusions::Always); }
TEST(CudaDevice, TrainingStepsInBFloat16) { compare_training_steps_in(DType::BF16, Fusions::Never); }
TEST(CudaDevice, FusedTrainingStepsInBFloat16) { compare_training_steps_in(DType::BF16, Fusions::Always); }

/// The arena, scratch and workspaces included, and the feature store: no other memory is allocated.
TEST(CudaDevice, HoldsWhatThePlanSays) {
    for (const auto& [name, config] : network_cases()) {
        for (const DType type : {DType::F32, DType::F16}) {
            SCOPED_TRACE(name);
            cuda::CudaDevice device = emulated_device(type, Fusions::Always);
            SmallStep step(device, config, Mode::Training);
            size_t planned = step.runner().variables().total_bytes() + step.program().transient_bytes;
            for (const TensorInfo& tensor : step.program().tensors)
                if (tensor.storage == Storage::External) planned += tensor.bytes();
            EXPECT_EQ(device.info().allocated_bytes, planned);
            step.run();
            step.run();
            EXPECT_EQ(device.info().allocated_bytes, planned) << "after two steps";
        }
    }
}

/// The number of ops of each kind in a training step.
std::map<std::string, int> ops_of(Device& device, const Network* network) {
    const StepConfig config = small_step(network, false, false);
    device.autotune(convolution_shapes(config, Mode::Training, config.batch));
    Variables variables;
    std::map<std::string, int> count;
    for (const Op& op : build_training_step(device.planner(), variables, config, config.batch).ops) ++count[op.kind];
    return count;
}

/// FCNN: the library computes eight of nine convolutions. One of them reads the raw output of another, which is
/// otherwise normalised for it twice. SE-Trans: the library computes three of four; squeeze-excitation reads all their
/// outputs.
TEST(CudaDevice, FusionsReplaceOps) {
    cuda::CudaDevice separate = emulated_device(DType::F16), fused = emulated_device(DType::F16, Fusions::Always);
    auto before = ops_of(separate, &fcnn), after = ops_of(fused, &fcnn);
    EXPECT_EQ(before["batch_norm_statistics"], 1 + 8); // and the input's
    EXPECT_EQ(after["batch_norm_statistics"], 1);
    EXPECT_EQ(before["batch_norm_forward"] - after["batch_norm_forward"], 2);
    EXPECT_EQ(after["convert"] - before["convert"], 2) << "scale and shift";
    EXPECT_EQ(after["conv2d_data_grad_bn_reduce"], 1) << "into block2.norm1";
    EXPECT_EQ(after["batch_norm_apply_gradient"], 1);
    EXPECT_EQ(before["batch_norm_backward"] - after["batch_norm_backward"], 1);
    before = ops_of(separate, &se_trans), after = ops_of(fused, &se_trans);
    EXPECT_EQ(before["batch_norm_statistics"], 1 + 4);
    EXPECT_EQ(after["batch_norm_statistics"], 1 + 1); // the first convolution's
}

/// Here a norm in front of a pooling has its output for its backward pass; on the CPU none has.
TEST(CudaDevice, NormsInFrontOfAPoolingReadTheirOutput) {
    const auto norms_that_read_it = [](Device& device) {
        const StepConfig config = small_step(&fcnn, false, false);
        device.autotune(convolution_shapes(config, Mode::Training, config.batch));
        Variables variables;
        const Program program = build_training_step(device.planner(), variables, config, config.batch);
        std::vector<std::string> names;
        for (const Op& forward : program.ops)
            for (const Op& backward : program.ops)
                if (forward.kind == "batch_norm_forward" && backward.kind == "batch_norm_backward" &&
                    std::count(backward.reads.begin(), backward.reads.end(), forward.writes.front()) > 0)
                    names.push_back(forward.name + " " + backward.name);
        return names;
    };
    cuda::CudaDevice device = emulated_device(DType::F16);
    EXPECT_EQ(norms_that_read_it(device), (std::vector<std::string>{"block1.norm2.forward block1.norm2.backward",
                                                                    "block2.norm2.forward block2.norm2.backward",
                                                                    "block3.norm4.forward block3.norm4.backward"}));
    const std::unique_ptr<Device> cpu = make_cpu_device(1);
    EXPECT_EQ(norms_that_read_it(*cpu), std::vector<std::string>());
}

/// The emulator's kernels take no time, so only the library's times decide.
TEST(CudaDevice, TheQuickestFusionIsChosenOncePerShape) {
    struct Case {
        double sums, raw_forward, raw_grad; ///< seconds; without fusion each pass takes 10
        double rectified;
        bool normalize_input, statistics, bias_relu;
    };
    const Conv2dShape shape{2, 6, 5, 16, 24};
    for (const Case& c : {Case{9, 20, 20, 9, false, true, true}, Case{11, 20, 20, 11, false, false, false},
                          Case{10, 10, 10, 10, false, false, false}, Case{11, 9, 10, 9, true, true, true},
                          Case{9, 8, 10, 11, true, true, false}, Case{8, 10, 9, 9, false, true, true}}) {
        SCOPED_TRACE(fmt::format("{} {} {}", c.sums, c.raw_forward, c.raw_grad));
        int asked = 0;
        const auto seconds = [&](const cuda::ConvolutionTask& task) {
            ++asked;
            if (task.pass == ConvPass::WeightGrad) return task.fusion.normalize_input ? c.raw_grad : 10.0;
            if (task.fusion.bias_relu) return c.rectified;
            return task.fusion.normalize_input ? c.raw_forward : task.fusion.statistics ? c.sums : 10.0;
        };
        for (const Fusions fusions : {Fusions::Quickest, Fusions::Never, Fusions::Always}) {
            cuda::CudaDevice device(DType::F16, convolutions_on_cpu(DType::F16, seconds), gemm_on_cpu(), fusions);
            device.autotune({shape});
            const int before = asked;
            const ConvFusion fusion = device.planner().conv2d_fusion(shape);
            const bool always = fusions == Fusions::Always, never = fusions == Fusions::Never;
            EXPECT_EQ(fusion.normalize_input, always || (!never && c.normalize_input));
            EXPECT_EQ(fusion.statistics, always || (!never && c.statistics));
            EXPECT_EQ(fusion.bias_relu, always || (!never && c.bias_relu));
            device.autotune({shape});
            EXPECT_EQ(asked, before) << "asking measures nothing, nor does tuning again";
        }
    }
    cuda::CudaDevice untimed = emulated_device(DType::F16, Fusions::Quickest);
    untimed.autotune({shape});
    EXPECT_FALSE(untimed.planner().conv2d_fusion(shape).statistics) << "without times";
}

/// An engine that is offered and does not run is an error with Always; otherwise there is no fusion, and the report has
/// the reason.
TEST(CudaDevice, AFusionThatDoesNotRunIsAnErrorOrReported) {
    const Conv2dShape shape{2, 6, 5, 16, 24};
    const auto failure = [](const cuda::ConvolutionTask& task) {
        return std::string(task.fusion.statistics ? "engine 2 fell over" : "");
    };
    const auto device_with = [&](Fusions fusions) {
        const auto seconds = [](const cuda::ConvolutionTask& task) { return task.fusion.any() ? 1.0 : 2.0; };
        return cuda::CudaDevice(DType::F16, convolutions_on_cpu(DType::F16, seconds, failure), gemm_on_cpu(), fusions);
    };
    EXPECT_TRUE(fails_with([&] { device_with(Fusions::Always).autotune({shape}); },
                           {"engine 2 fell over", "always", "quickest", "never"}));
    cuda::CudaDevice quickest = device_with(Fusions::Quickest), never = device_with(Fusions::Never);
    quickest.autotune({shape});
    const ConvFusion fusion = quickest.planner().conv2d_fusion(shape);
    EXPECT_FALSE(fusion.statistics);
    EXPECT_FALSE(fusion.normalize_input);
    EXPECT_TRUE(fusion.bn_reduce) << "that one runs";
    int failed = 0;
    for (const ConvChoice& choice : quickest.planner().conv2d_report().choices) {
        EXPECT_EQ(choice.engine.empty(), !choice.failures.empty()) << choice.pass;
        failed += choice.failures == "engine 2 fell over";
    }
    EXPECT_GE(failed, 1);
    never.autotune({shape});
    EXPECT_FALSE(never.planner().conv2d_fusion(shape).bn_reduce);
}

TEST(CudaDevice, ABrokenDeviceIsNoReasonToDoWithoutAFusion) {
    const auto broken = [](const cuda::ConvolutionTask& task) -> std::string {
        if (task.fusion.any()) throw cuda::BrokenDevice("an illegal access");
        return "";
    };
    cuda::CudaDevice device(DType::F16,
                            convolutions_on_cpu(
                                DType::F16, [](const auto&) { return 1.0; }, broken),
                            gemm_on_cpu());
    EXPECT_THROW(device.autotune({{2, 6, 5, 16, 24}}), cuda::BrokenDevice);
}

TEST(CudaPlanner, NeedsNoDeviceAndKnowsOnlyWhatWasAutotuned) {
    const Conv2dShape shape{4, 6, 5, 16, 24}, last{3, 6, 5, 16, 24, 3, 1, 1, 4};
    auto tuned =
        std::make_unique<cuda::TunedConvolutions>(DType::F16, convolutions_on_cpu(DType::F16), Fusions::Always);
    try {
        (void)tuned->fusion(shape);
        FAIL() << "nobody tuned it";
    } catch (const std::logic_error& error) {
        EXPECT_NE(std::string(error.what()).find("was not given to autotune"), std::string::npos) << error.what();
    }
    cuda::CudaPlanner planner(std::move(tuned), 0);
    planner.autotune({last});
    EXPECT_TRUE(planner.conv2d_fusion(last).statistics);
    EXPECT_EQ(planner.activation_type(), DType::F16);
    const Conv2dDataGrad<TensorSpec> data_grad{.dx = TensorSpec(DType::F16, shape.x()),
                                               .dy = TensorSpec(DType::F16, shape.y()),
                                               .w = TensorSpec(DType::F16, shape.w()),
                                               .shape = shape};
    EXPECT_GT(planner.scratch_bytes(data_grad), 0u) << "the full batch was tuned with the last one";
    const size_t choices = planner.conv2d_report().choices.size();
    planner.autotune({shape, last});
    EXPECT_EQ(planner.conv2d_report().choices.size(), choices);
}

/// The report has all forms that were considered, and says which ran.
TEST(CudaDevice, ReportsWhatRan) {
    cuda::CudaDevice device = emulated_device(DType::F16, Fusions::Always);
    const Conv2dShape shape{1, 4, 4, 16, 16};
    const OnDevice x(uniform(shape.x(), 1), DType::F16), w(uniform(shape.w(), 2), DType::F16);
    const OnDevice y(shape.y(), DType::F16), mean({16}), variance({16});
    device.autotune({shape});
    const auto ran = [&] {
        const std::vector<ConvChoice> choices = device.planner().conv2d_report().choices;
        EXPECT_GT(choices.size(), 2u);
        return std::count_if(choices.begin(), choices.end(), [](const ConvChoice& choice) { return choice.ran; });
    };
    EXPECT_EQ(ran(), 0);
    const Conv2dForward<Tensor> plain{.y = Tensor(y), .x = Tensor(x), .w = Tensor(w), .shape = shape};
    Conv2dForward<Tensor> with_sums = plain;
    with_sums.mean = Tensor(mean);
    with_sums.variance = Tensor(variance);
    for (int run = 0; run < 2; ++run) run_with_scratch(device, with_sums);
    EXPECT_EQ(ran(), 1);
    run_with_scratch(device, plain);
    EXPECT_EQ(ran(), 2);
}

/// A smaller last batch comes once in an epoch: it is not measured, and takes the full batch's fusions.
TEST(CudaDevice, ASmallerLastBatchIsNotMeasured) {
    int asked = 0;
    std::vector<int64_t> batches;
    const auto seconds = [&](const cuda::ConvolutionTask& task) {
        ++asked;
        batches.push_back(task.shape.batch);
        return task.fusion.statistics ? 1.0 : 2.0;
    };
    cuda::CudaDevice device(DType::F16, convolutions_on_cpu(DType::F16, seconds), gemm_on_cpu());
    StepConfig config = small_step(&fcnn, false, false);
    const auto statistics_of = [&](int64_t batch, int64_t full_batch) {
        config.batch = batch;
        device.autotune(convolution_shapes(config, Mode::Training, full_batch));
        Variables variables;
        int count = 0;
        for (const Op& op : build_training_step(device.planner(), variables, config, full_batch).ops)
            count += op.kind == "batch_norm_statistics";
        return count;
    };
    EXPECT_EQ(statistics_of(2, 3), 1) << "the input's; all others come with their convolutions";
    EXPECT_GT(asked, 0) << "for the full batch, which nobody has asked for yet";
    EXPECT_EQ(std::count(batches.begin(), batches.end(), 2), 0);
    const int before = asked;
    EXPECT_EQ(statistics_of(3, 3), 1);
    EXPECT_EQ(statistics_of(1, 3), 1);
    EXPECT_EQ(asked, before);
    EXPECT_EQ(statistics_of(2, 2), 1);
    EXPECT_GT(asked, before) << "a batch of its own";
}

TEST(CudaDevice, TheStreamOutlivesTheLibraries) {
    least_streams_at_close = emulator::streams + 1;
    { const cuda::CudaDevice device(DType::F32, convolutions_on_cpu(DType::F32), gemm_on_cpu()); }
    EXPECT_EQ(least_streams_at_close, emulator::streams + 1);
}

TEST(CudaDevice, OnlyOfferedFusionsRun) {
    cuda::CudaDevice device = emulated_device(DType::F32);
    const Conv2dShape shape{1, 4, 4, 16, 16};
    const OnDevice x(uniform(shape.x(), 1)), w(uniform(shape.w(), 2)), y(shape.y()), moments({2, 16});
    device.autotune({shape});
    Conv2dForward<Tensor> forward{.y = Tensor(y), .x = Tensor(x), .w = Tensor(w), .shape = shape};
    run_with_scratch(device, forward);
    const auto channel = [](Tensor of, int64_t i) {
        return Tensor{static_cast<float*>(of.data) + 16 * i, DType::F32, {16}};
    };
    forward.mean = channel(moments, 0);
    forward.variance = channel(moments, 1);
    EXPECT_THROW(run_with_scratch(device, forward), std::logic_error);
    EXPECT_THROW(device.run(forward), std::logic_error);
}

/// In BF16 a gradient beyond the range of F16 is no overflow.
TEST(CudaDevice, BFloat16HasTheRangeOfFloat) {
    const StepConfig config = small_step(&fcnn, false, false);
    cuda::CudaDevice device = emulated_device(DType::BF16);
    SmallStep step(device, config, Mode::Training);
    const float huge = std::ldexp(1.0f, 40);
    step.set_control({.seed = 9, .learning_rate = 1e-3f, .loss_scale = huge});
    const auto before = step.all(Segment::Parameters);
    step.run();
    EXPECT_NE(step.all(Segment::Parameters), before);
    EXPECT_EQ(step.control().step, 1u);
    EXPECT_EQ(step.control().loss_scale, huge) << "nothing adjusts it";
    EXPECT_EQ(step.control().nonfinite, 0u);
}

/// At a scale that overflows, steps are skipped and the scale halves until one succeeds.
TEST(CudaDevice, AnOverflowSkipsTheStep) {
    const StepConfig config = small_step(&fcnn, false, false);
    cuda::CudaDevice device = emulated_device(DType::F16);
    SmallStep step(device, config, Mode::Training);
    const float huge = std::ldexp(1.0f, 40);
    step.set_control({.seed = 9, .learning_rate = 1e-3f, .loss_scale = huge, .good_steps = 7});
    const auto before = step.all(Segment::Parameters);
    step.run();
    EXPECT_EQ(step.all(Segment::Parameters), before);
    StepControl control = step.control();
    EXPECT_EQ(control.step, 0u);
    EXPECT_EQ(control.loss_scale, huge / 2);
    EXPECT_EQ(control.nonfinite, 0u);
    EXPECT_EQ(control.good_steps, 0u);
    control.loss_scale = 256;
    control.cursor = 0;
    step.set_control(control);
    step.run();
    EXPECT_NE(step.all(Segment::Parameters), before);
    EXPECT_EQ(step.control().step, 1u);
    EXPECT_EQ(step.control().good_steps, 1u);
}

/// With its convolutions separate from bias and relu, and with them fused. Only the FCNN has convolutions of the
/// library that are followed by a relu alone: block2.conv1, block3.conv1 to 3 and embed.conv.
TEST(CudaDevice, Inference) {
    for (const auto& [name, config] : network_cases()) {
        SmallStep expected(cpu(), config, Mode::Inference);
        for (int step = 0; step < 2; ++step) expected.run();
        for (const auto& [activation, fusions] : {std::pair{DType::F32, Fusions::Never},
                                                  {DType::F32, Fusions::Always},
                                                  {DType::F16, Fusions::Never},
                                                  {DType::F16, Fusions::Always},
                                                  {DType::BF16, Fusions::Never},
                                                  {DType::BF16, Fusions::Always}}) {
            SCOPED_TRACE(std::string(name) + ", " + std::string(name_of(activation)));
            cuda::CudaDevice device = emulated_device(activation, fusions);
            SmallStep actual(device, config, Mode::Inference);
            const std::vector<Op>& ops = actual.program().ops;
            const auto norms = std::count_if(ops.begin(), ops.end(), [](const Op& op) {
                return op.kind == "batch_norm_forward" && op.name.find("input_norm") == std::string::npos;
            });
            if (config.model.network == &fcnn) { EXPECT_EQ(norms, fusions == Fusions::Always ? 3 : 8); }
            for (int step = 0; step < 2; ++step) actual.run();
            const Tolerance tolerance{.absolute = activation == DType::F32 ? 1e-5 : 1e-2};
            const std::vector<float> got = actual.probabilities(), wanted = expected.probabilities();
            EXPECT_TRUE(all_close(std::span<const float>(got), std::span<const float>(wanted), tolerance, name));
        }
    }
}

TEST(CudaDevice, LogMel) {
    LogMelSpec spec;
    spec.n_fft = spec.window = 256;
    spec.hop = 128;
    spec.samples = 1000;
    spec.frames = 5;
    spec.bands = 8;
    const Guarded wave = uniform({2, spec.samples}, 4), expected({2, spec.frames, spec.bands});
    DeviceBuffer on_cpu;
    run_alone(cpu(), LogMel<Tensor>{.out = Tensor(expected), .wave = Tensor(wave), .spec = spec}, on_cpu);
    cuda::CudaDevice device(DType::F32, convolutions_on_cpu(DType::F32), gemm_on_cpu());
    const OnDevice d_wave(wave), out({2, spec.frames, spec.bands});
    DeviceBuffer scratch(device, size_t{1} << 20);
    const auto run = [&] {
        run_alone(device, LogMel<Tensor>{.out = Tensor(out), .wave = Tensor(d_wave), .spec = spec}, scratch);
    };
    EXPECT_THROW(device.record(run), std::logic_error) << "its table is not there yet";
    for (int call = 0; call < 2; ++call) run();
    device.record(run)();
    device.synchronize();
    EXPECT_TRUE(close(out, expected, {.absolute = 1e-3}, "log-mel"));
}

TEST(CudaDevice, TooLittleMemorySaysHowMuchIsNeeded) {
    cuda::CudaDevice device = emulated_device(DType::F32);
    try {
        device.allocate(size_t{3} << 30);
        FAIL() << "3 GiB were allocated";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("3221225472 bytes"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("% of this one fits"), std::string::npos) << error.what();
    }
}

/// Each node under its range; nothing runs.
TEST(CudaDevice, NodesOfAGraphHaveTheNamesOfTheirRanges) {
    cuda::CudaDevice device = emulated_device(DType::F32);
    const std::vector<float> ones(300, 1.0f);
    DeviceBuffer memory(device, ones.data(), ones.size() * sizeof(float));
    const Tensor tensor = memory.tensor(DType::F32, {300});
    const auto zero_in_range = [&](const char* name, int times) {
        device.begin_range(name);
        for (int time = 0; time < times; ++time) device.run(FillZero<Tensor>{.x = tensor});
        device.end_range();
    };
    const std::vector<GraphNode> nodes = device.graph_nodes([&] {
        zero_in_range("one", 1);
        zero_in_range("none", 0);
        zero_in_range("two", 2);
    });
    std::vector<std::string> ranges;
    for (const GraphNode& node : nodes) ranges.push_back(node.range);
    EXPECT_EQ(ranges, (std::vector<std::string>{"one", "two", "two"}));
    EXPECT_EQ(nodes.at(0).kind, "memset");
    std::vector<float> values(300);
    device.download(values.data(), memory.data(), memory.bytes());
    EXPECT_EQ(values, ones);
    EXPECT_THROW(device.graph_nodes([] { fail("an op fails"); }), Error);
    zero_in_range("later", 1);
    EXPECT_EQ(device.graph_nodes([&] { zero_in_range("again", 1); }).at(0).range, "again");
}

/// Of a whole step: the ops in their order, and each kernel's launch.
TEST(CudaDevice, TheGraphOfAStepIsMappedToItsOps) {
    cuda::CudaDevice device = emulated_device(DType::F16, Fusions::Always);
    SmallStep step(device, small_step(&fcnn, false, true), Mode::Training);
    step.run();
    const std::vector<GraphNode> nodes =
        device.graph_nodes([&] { step.runner().executor().run_op_by_op(step.program()); });
    std::vector<std::string> expected, ops;
    for (const Op& op : step.program().ops)
        if (op.phase != Phase::Setup) expected.push_back(op.name);
    size_t kernels = 0;
    for (const GraphNode& node : nodes) {
        if (ops.empty() || ops.back() != node.range) ops.push_back(node.range);
        if (node.kind != "kernel") continue;
        ++kernels;
        EXPECT_EQ(node.kernel, "a_kernel");
        for (const unsigned extent : {node.grid[0], node.grid[2], node.block[0], node.block[2]})
            EXPECT_GE(extent, 1u) << node.range;
    }
    EXPECT_EQ(ops, expected);
    EXPECT_GT(kernels, expected.size() / 2) << "the libraries' stand-ins launch none";
}

/// What a CUDA graph cannot contain fails in the recording, not in a replay.
TEST(CudaDevice, ARecordHoldsNoTransfersFromTheHost) {
    cuda::CudaDevice device = emulated_device(DType::F32);
    void* memory = device.allocate(64);
    const std::vector<char> host(64);
    EXPECT_THROW(device.record([&] { device.upload(memory, host.data(), 64); }), Error);
    const Tensor tensor{memory, DType::F32, {16}};
    const std::function<void()> replay = device.record([&] { device.run(FillZero<Tensor>{.x = tensor}); });
    std::vector<float> values(16, 1.0f);
    device.upload(memory, values.data(), 64);
    replay();
    device.download(values.data(), memory, 64);
    EXPECT_EQ(values, std::vector<float>(16, 0.0f));
    device.release(memory);
}

} // namespace
} // namespace scene::test
