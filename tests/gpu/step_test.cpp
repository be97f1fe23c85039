// Whole steps on the GPU against the CPU, in every precision.

#include "kernels/cuda/cufft/log_mel_baseline.h"
#include "kernels/cuda/gpu.h"
#include "kernels/device_buffer.h"
#include "tests/support/small_step.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

struct Case {
    const char* name;
    Precision precision;
    double loss; ///< relative difference allowed in the first step
    Fusions fusions = Fusions::Quickest;
};

/// Half precision runs unfused and fused: the quickest form alone would leave the other untested.
constexpr Case cases[] = {{"fp32", Precision::Fp32, 1e-4},
                          {"tf32", Precision::Tf32, 1e-2},
                          {"fp16", Precision::Fp16, 1e-2, Fusions::Never},
                          {"fp16, fused", Precision::Fp16, 1e-2, Fusions::Always},
                          {"bf16", Precision::Bf16, 5e-2}};

/// Wide enough that cuDNN computes every convolution but the first, and that channels fill whole vectors.
StepConfig config_of(const Network* network) {
    StepConfig config = small_step(network, false, true);
    config.model.width = 0.25;
    config.model.frames = 100;
    config.model.bands = 64;
    return config;
}

std::unique_ptr<Device> gpu(Precision precision, Fusions fusions = Fusions::Quickest) {
    return make_cuda_device({.precision = precision, .fusions = fusions});
}

StepControl control_for(Precision precision) {
    return {.seed = 9, .learning_rate = 1e-3f, .loss_scale = precision == Precision::Fp16 ? 1024.0f : 1.0f};
}

/// What ran, for the message of a failure.
std::string engines_of(const Device& device) {
    std::string text;
    for (const ConvChoice& choice : device.planner().conv2d_report().choices)
        if (choice.ran || !choice.failures.empty())
            text += "\n  " + choice.pass + ": " + (choice.ran ? choice.engine : "did not run") + " " + choice.failures;
    return text;
}

/// Each kind of fusion ran. Without this a test of fusions might test none.
void expect_fused(const Device& device, const Network* network) {
    const auto ran = [&](const char* fusion) {
        const ConvReport report = device.planner().conv2d_report();
        return std::any_of(report.choices.begin(), report.choices.end(), [&](const ConvChoice& choice) {
            return choice.ran && choice.pass.find(fusion) != std::string::npos;
        });
    };
    EXPECT_TRUE(ran("with sums")) << engines_of(device);
    if (network != &fcnn) return; // squeeze-excitation reads the outputs of SE-Trans's convolutions
    EXPECT_TRUE(ran("forward of relu(scale*x + shift)")) << engines_of(device);
    EXPECT_TRUE(ran("weight-grad of relu(scale*x + shift)")) << engines_of(device);
    EXPECT_TRUE(ran("data-grad into a batch norm")) << engines_of(device);
}

TEST(GpuStep, GradientsInFloat) {
    constexpr int steps = 9;
    for (const Network* network : {&fcnn, &se_trans}) {
        const StepConfig config = config_of(network);
        const std::unique_ptr<Device> device = gpu(Precision::Fp32);
        SmallStep expected(cpu(), config, Mode::Training), perturbed(cpu(), config, Mode::Training),
            actual(*device, config, Mode::Training);
        perturbed.perturb_parameters(flipping_share);
        EXPECT_TRUE(same_gradients_in_float(gradients_at_rest(actual, steps), gradients_at_rest(expected, steps),
                                            gradients_at_rest(perturbed, steps)))
            << engines_of(*device);
    }
}

TEST(GpuStep, LossAndGradientsOfTheFirstStep) {
    for (const Network* network : {&fcnn, &se_trans}) {
        SmallStep expected(cpu(), config_of(network), Mode::Training);
        expected.run();
        const auto distance_of = [&](DType type) {
            SmallStep rounded(cpu(), config_of(network), Mode::Training);
            rounded.round_parameters(type);
            rounded.run();
            return gradient_distance(rounded.all(Segment::Gradients), expected.all(Segment::Gradients), 1e-2).whole;
        };
        // TF32 and half have the same mantissa, and so the same distance.
        const double of_half = distance_of(DType::F16), of_bfloat = distance_of(DType::BF16);
        for (const Case& c : cases) {
            SCOPED_TRACE(c.name);
            const std::unique_ptr<Device> device = gpu(c.precision, c.fusions);
            SmallStep actual(*device, config_of(network), Mode::Training);
            const StepControl control = control_for(c.precision);
            actual.set_control(control);
            actual.run();
            EXPECT_NEAR(actual.loss_sum(), expected.loss_sum(), c.loss * expected.loss_sum());
            const GradientDistance distance =
                gradient_distance(actual.all(Segment::Gradients), expected.all(Segment::Gradients), 1e-2,
                                  static_cast<double>(control.loss_scale));
            // One step in float tells little: GradientsInFloat looks at several.
            if (c.precision != Precision::Fp32) {
                const double naive = c.precision == Precision::Bf16 ? of_bfloat : of_half;
                EXPECT_LE(distance.whole,
                          std::min(rounding_growth * naive, most_rounding_in(activation_type_of(c.precision))))
                    << engines_of(*device);
            }
            if (c.fusions == Fusions::Always) expect_fused(*device, network);
        }
    }
}

/// The losses of single steps drift apart, since Adam's first steps depend on the signs of gradients. Their means must
/// agree.
TEST(GpuStep, FiftyStepsLearnAsOnTheCpu) {
    const StepConfig config = config_of(&fcnn);
    const auto mean_loss = [&](Device& device, Precision precision, int from, int to) {
        SmallStep step(device, config, Mode::Training);
        step.set_control(control_for(precision));
        double before = 0;
        for (int i = 0; i < to; ++i) {
            if (i == from) before = step.loss_sum();
            if (i % 2 == 0) step.rewind();
            step.run();
        }
        return (step.loss_sum() - before) / static_cast<double>((to - from) * config.batch);
    };
    const double first = mean_loss(cpu(), Precision::Fp32, 0, 5), last = mean_loss(cpu(), Precision::Fp32, 40, 50);
    EXPECT_LT(last, 0.8 * first) << "the CPU learns";
    for (const Case& c : cases) {
        const std::unique_ptr<Device> device = gpu(c.precision, c.fusions);
        EXPECT_NEAR(mean_loss(*device, c.precision, 0, 5), first, 0.1 * first) << c.name;
        EXPECT_NEAR(mean_loss(*device, c.precision, 40, 50), last, 0.25 * first) << c.name;
    }
}

TEST(GpuStep, TheSameBitsTwice) {
    for (const Case& c : cases) {
        std::string engines;
        const auto parameters = [&] {
            const std::unique_ptr<Device> device = gpu(c.precision, c.fusions);
            SmallStep step(*device, config_of(&fcnn), Mode::Training);
            step.set_control(control_for(c.precision));
            for (int i = 0; i < 2; ++i) step.run();
            if (c.fusions == Fusions::Always) expect_fused(*device, &fcnn);
            engines += engines_of(*device) + "\n";
            return step.all(Segment::Parameters);
        };
        EXPECT_TRUE(parameters() == parameters()) << c.name << " by" << engines;
    }
}

TEST(GpuStep, Inference) {
    SmallStep expected(cpu(), config_of(&fcnn), Mode::Inference);
    for (int i = 0; i < 2; ++i) expected.run();
    for (const Case& c : cases) {
        const std::unique_ptr<Device> device = gpu(c.precision, c.fusions);
        SmallStep actual(*device, config_of(&fcnn), Mode::Inference);
        for (int i = 0; i < 2; ++i) actual.run();
        const std::vector<float> got = actual.probabilities(), wanted = expected.probabilities();
        const Tolerance tolerance{.absolute = c.precision == Precision::Fp32 ? 1e-4 : 1e-2};
        EXPECT_TRUE(all_close(std::span<const float>(got), std::span<const float>(wanted), tolerance, c.name));
    }
}

/// Whole clips of the paper's settings, by the device's own kernel and by cuFFT.
TEST(GpuOps, LogMel) {
    const LogMelSpec spec;
    const Shape shape{2, spec.frames, spec.bands};
    const Guarded wave = uniform({2, spec.samples}, 1), expected(shape);
    DeviceBuffer on_cpu;
    run_alone(cpu(), LogMel<Tensor>{.out = Tensor(expected), .wave = Tensor(wave), .spec = spec}, on_cpu);
    const std::unique_ptr<Device> device = make_cuda_device({});
    const size_t bytes = static_cast<Tensor>(expected).bytes();
    const DeviceBuffer on_device(*device, static_cast<Tensor>(wave).data, static_cast<Tensor>(wave).bytes());
    const DeviceBuffer out(*device, bytes);
    const LogMel<Tensor> op{
        .out = out.tensor(DType::F32, shape), .wave = on_device.tensor(DType::F32, wave.shape()), .spec = spec};
    const auto expect_as_on_cpu = [&](const char* by) {
        const Guarded actual(shape);
        device->download(static_cast<Tensor>(actual).data, out.data(), bytes);
        EXPECT_TRUE(all_close(actual.floats(), expected.floats(), {.absolute = 1e-4}, by));
    };
    DeviceBuffer scratch;
    run_alone(*device, op, scratch);
    expect_as_on_cpu("kernel");
    const Guarded unwritten(shape);
    device->upload(out.data(), static_cast<Tensor>(unwritten).data, bytes);
    make_cufft_log_mel(*device, spec, shape[0])->run(op);
    expect_as_on_cpu("cuFFT");
}

} // namespace
} // namespace scene::test
