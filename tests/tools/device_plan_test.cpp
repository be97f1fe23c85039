// Plans for a GPU that is not there: cuDNN builds them from the device's properties, without a driver. Skipped where
// this build has no CUDA or the machine no cuDNN.

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/device_profiles.h"
#include "kernels/cuda/late_library.h"
#include "kernels/cuda/plan_cache.h"
#include "kernels/json.h"
#include "model/step.h"
#include "tests/support/expect_error.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

using nlohmann::json;

/// Null, with the reason, where no plan can be made here.
std::unique_ptr<Backend> planning_backend(Precision precision, std::string& reason,
                                          Fusions fusions = Fusions::Quickest) {
    try {
        return make_planning_backend({.precision = precision, .fusions = fusions}, "h100");
    } catch (const Error& error) {
        reason = error.what();
        return nullptr;
    }
}

struct Planned {
    size_t transient_bytes = 0;
    int convolution_passes = 0, halves = 0;
    double bytes_per_clip = 0; ///< moved
};

Planned plan_step(const Backend& backend, Architecture architecture, int64_t batch, bool deltas = false) {
    StepConfig config;
    config.model.architecture = architecture;
    config.model.deltas = deltas;
    config.batch = batch;
    config.rows = 8700;
    Variables variables;
    const Program program = emit_training_step(backend, variables, config, batch);
    Planned planned{program.transient_bytes, 0, 0, program.bytes_moved() / static_cast<double>(batch)};
    for (const Op& op : program.ops) planned.convolution_passes += op.kind.starts_with("conv2d_");
    for (const TensorInfo& info : program.tensors) planned.halves += info.dtype == DType::F16;
    emit_inference_step(backend, variables, config, batch);
    return planned;
}

/// Emitting a step asks for the workspace of every pass of every convolution, and throws where cuDNN has no plan.
TEST(DevicePlan, EveryConvolutionOfBothModelsHasAPlanOnAnH100) {
    for (const Precision precision : {Precision::Fp16, Precision::Fp32}) {
        std::string reason;
        const std::unique_ptr<Backend> backend = planning_backend(precision, reason);
        if (!backend) GTEST_SKIP() << reason;
        const DType type = precision == Precision::Fp16 ? DType::F16 : DType::F32;
        EXPECT_EQ(backend->activation_type(), type);
        for (const int64_t batch : {1, 7, 16, 64, 256, 512}) {
            SCOPED_TRACE(std::string(name_of(type)) + ", batch " + std::to_string(batch));
            const Planned fcnn = plan_step(*backend, Architecture::Fcnn, batch);
            EXPECT_EQ(fcnn.convolution_passes, 27); // nine convolutions, three passes
            const Planned se_trans = plan_step(*backend, Architecture::SeTrans, batch);
            EXPECT_EQ(se_trans.convolution_passes, 12);
            EXPECT_EQ(fcnn.halves > 0, type == DType::F16);
            EXPECT_GT(fcnn.transient_bytes, static_cast<size_t>(batch) * 10'000'000);
        }
        plan_step(*backend, Architecture::SeTrans, 64, true);
    }
}

TEST(DevicePlan, Tf32HasPlansToo) {
    std::string reason;
    const std::unique_ptr<Backend> backend = planning_backend(Precision::Tf32, reason);
    if (!backend) GTEST_SKIP() << reason;
    plan_step(*backend, Architecture::Fcnn, 64);
    plan_step(*backend, Architecture::SeTrans, 64);
}

/// Without a device nothing is measured, and nothing fused unless it is asked for.
TEST(DevicePlan, FusedConvolutionsInHalf) {
    std::string reason;
    const std::unique_ptr<Backend> separate = planning_backend(Precision::Fp16, reason);
    if (!separate) GTEST_SKIP() << reason;
    const std::unique_ptr<Backend> fused = planning_backend(Precision::Fp16, reason, Fusions::Always);
    const std::unique_ptr<Backend> single = planning_backend(Precision::Fp32, reason, Fusions::Always);
    const Conv2dShape shape{64, 125, 16, 288, 288}, first{64, 500, 64, 1, 144, 5, 2, 2};
    EXPECT_FALSE(separate->conv2d_fusion(shape).statistics);
    EXPECT_TRUE(fused->conv2d_fusion(shape).statistics);
    EXPECT_TRUE(fused->conv2d_fusion(shape).normalize_input);
    EXPECT_FALSE(fused->conv2d_fusion(first).statistics) << "not the library's";
    EXPECT_FALSE(single->conv2d_fusion(shape).statistics) << "for halves only";
    for (const ConvPass pass : {ConvPass::Forward, ConvPass::DataGrad, ConvPass::WeightGrad})
        EXPECT_GE(fused->conv2d_scratch_bytes(shape, pass), separate->conv2d_scratch_bytes(shape, pass));
    for (const int64_t batch : {1, 16, 256}) {
        for (const Architecture architecture : {Architecture::Fcnn, Architecture::SeTrans}) {
            const Planned less = plan_step(*fused, architecture, batch),
                          more = plan_step(*separate, architecture, batch);
            EXPECT_LT(less.bytes_per_clip, more.bytes_per_clip - 8e6);
        }
    }
}

TEST(DevicePlan, ThePlanningBackendComputesNothing) {
    std::string reason;
    const std::unique_ptr<Backend> backend = planning_backend(Precision::Fp16, reason);
    if (!backend) GTEST_SKIP() << reason;
    EXPECT_THROW(backend->allocate(16), std::logic_error);
    EXPECT_NE(backend->info().libraries.find("cuDNN"), std::string::npos);
}

TEST(DevicePlan, TheCommandShowsMemoryWithWorkspaces) {
    std::string reason;
    if (!planning_backend(Precision::Fp16, reason)) GTEST_SKIP() << reason;
    const TemporaryFolder folder;
    write_text(folder / "config.toml", "system = \"4\"\n");
    const auto totals = [&](const std::string& precision, const std::string& profile) {
        const Outcome outcome = scene_command({"plan", "--config", folder / "config.toml", "--batch", "64", "--json",
                                               "--device-profile", profile, "--precision", precision});
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        EXPECT_EQ(outcome.err, "");
        return parse_json(outcome.out).at("totals");
    };
    write_text(folder / "gpu.json", cuda::device_profile("h100"));
    const json half = totals("fp16", "h100"), single = totals("fp32", folder / "gpu.json");
    for (const json& one : {half, single}) {
        EXPECT_GT(one.at("workspace_bytes"), 0);
        EXPECT_EQ(one.at("table_bytes"), size_t{8700} * 500 * 64 * 4);
        EXPECT_EQ(one.at("device_bytes").get<double>(),
                  one.at("arena_bytes").get<double>() + one.at("table_bytes").get<double>());
        EXPECT_GE(one.at("transient_bytes"), one.at("workspace_bytes"));
    }
    EXPECT_LT(half.at("transient_bytes").get<double>(), 0.6 * single.at("transient_bytes").get<double>());
    EXPECT_TRUE(fails_with(scene_command({"plan", "--config", folder / "config.toml", "--device-profile", "h1000"}), 1,
                           "h1000"));
    write_text(folder / "empty.json", "{}");
    EXPECT_TRUE(fails_with(
        scene_command({"plan", "--config", folder / "config.toml", "--device-profile", folder / "empty.json"}), 1,
        "cuDNN"));
}

// ---- what the CUDA backend keeps and opens --------------------------------------------------------------------------

TEST(PlanCache, RemembersAcrossProcesses) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "deeper" / "gpu.plans";
    cuda::PlanCache first(file), second(file);
    EXPECT_FALSE(first.find("forward"));
    first.add("forward", "engine 1 knobs 2=3", 12.34);
    EXPECT_EQ(first.find("forward")->microseconds, 12.3);
    second.add("data-grad", "engine 7", 1);
    const cuda::PlanCache both(file);
    EXPECT_EQ(both.find("forward")->choice, "engine 1 knobs 2=3");
    EXPECT_EQ(both.find("data-grad")->choice, "engine 7");
    EXPECT_EQ(both.find("forward")->microseconds, 12.3) << "as the process that measured it";
    EXPECT_FALSE(both.find("weight-grad"));
}

TEST(PlanCache, ADamagedFileCountsAsEmptyAndIsReplaced) {
    const TemporaryFolder folder;
    const std::string file = folder / "gpu.plans";
    cuda::PlanCache(file).add("forward", "engine 1", 1);
    const std::string good = read_text(file);
    for (const std::string& bad : {std::string("nonsense\n"), good + "half a line", good + "a\tb\tno number\n"}) {
        write_text(file, bad);
        cuda::PlanCache cache(file);
        EXPECT_FALSE(cache.find("forward")) << bad;
        cache.add("forward", "engine 2", 1);
        EXPECT_EQ(cuda::PlanCache(file).find("forward")->choice, "engine 2");
    }
}

TEST(PlanCache, WorksWithoutAFile) {
    cuda::PlanCache cache("");
    cache.add("forward", "engine 1", 1);
    EXPECT_EQ(cache.find("forward")->choice, "engine 1");
    cuda::PlanCache unwritable("/proc/nowhere/gpu.plans");
    unwritable.add("forward", "engine 1", 1);
    EXPECT_EQ(unwritable.find("forward")->choice, "engine 1");
}

TEST(LateLibrary, AMissingOneIsOneLine) {
    EXPECT_TRUE(
        fails_with([] { cuda::LateLibrary("libnotthere.so.9", "cuNothing 9"); }, {"cuNothing 9", "libnotthere.so.9"}));
    const cuda::LateLibrary there("libm.so.6", "the mathematics library");
    EXPECT_NE(there.function<double(double)>("cos"), nullptr);
    EXPECT_TRUE(fails_with([&] { (void)there.function<double(double)>("cosine_of_nothing"); },
                           {"too old", "cosine_of_nothing"}));
}

} // namespace
} // namespace scene::test
