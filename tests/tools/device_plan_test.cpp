// Plans for a GPU that is not there: cuDNN builds them from the device's properties, without a driver. Skipped where
// this build has no CUDA or the machine no cuDNN.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>

#include <unistd.h>

#include "kernels/cuda/autotune/plan_cache.h"
#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/cuda/dlopened_library.h"
#include "kernels/cuda/gpu.h"
#include "kernels/files/json.h"
#include "model/step.h"
#include "tests/support/expect_error.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

using nlohmann::json;

/// Null, with the reason, if no plan can be made here.
std::unique_ptr<Planner> planner_for(Precision precision, std::string& reason, Fusions fusions = Fusions::Quickest,
                                     const std::vector<Conv2dShape>& shapes = {}) {
    try {
        return make_cuda_planner({.precision = precision, .fusions = fusions}, "h100", shapes);
    } catch (const Error& error) {
        reason = error.what();
        return nullptr;
    }
}

struct Planned {
    size_t transient_bytes = 0;
    int convolution_passes = 0, halves = 0;
    double bytes_per_clip = 0, inference_bytes_per_clip = 0; ///< memory traffic
};

Planned plan_step(Precision precision, Fusions fusions, const Network* network, int64_t batch, bool deltas = false,
                  const std::string& profile = "h100") {
    StepConfig config;
    config.model.network = network;
    config.model.deltas = deltas;
    config.batch = batch;
    config.rows = 8700;
    std::vector<Conv2dShape> shapes = convolution_shapes(config, Mode::Training, batch);
    for (const Conv2dShape& shape : convolution_shapes(config, Mode::Inference, batch)) shapes.push_back(shape);
    const std::unique_ptr<Planner> made =
        make_cuda_planner({.precision = precision, .fusions = fusions}, profile, shapes);
    const Planner& planner = *made;
    Variables variables;
    const Program program = build_training_step(planner, variables, config, batch);
    Planned planned{program.transient_bytes, 0, 0, program.bytes_moved() / static_cast<double>(batch), 0};
    for (const Op& op : program.ops) planned.convolution_passes += op.kind.starts_with("conv2d_");
    for (const TensorInfo& info : program.tensors) planned.halves += is_half_width(info.dtype);
    const Program inference = build_inference_step(planner, variables, config, batch);
    planned.inference_bytes_per_clip = inference.bytes_moved() / static_cast<double>(batch);
    return planned;
}

/// Scratch of one pass without fusions.
size_t workspace(const Planner& planner, const Conv2dShape& shape, ConvPass pass) {
    const DType type = planner.activation_type();
    const TensorSpec x(type, shape.x()), y(type, shape.y()), w(type, shape.w()), dw(DType::F32, shape.w());
    switch (pass) {
    case ConvPass::Forward:
        return planner.scratch_bytes(Conv2dForward<TensorSpec>{.y = y, .x = x, .w = w, .shape = shape});
    case ConvPass::DataGrad:
        return planner.scratch_bytes(Conv2dDataGrad<TensorSpec>{.dx = x, .dy = y, .w = w, .shape = shape});
    case ConvPass::WeightGrad:
        return planner.scratch_bytes(Conv2dWeightGrad<TensorSpec>{.dw = dw, .dy = y, .x = x, .shape = shape});
    }
    return 0;
}

/// Building a step asks for the workspace of every pass of every convolution, and throws if cuDNN has no plan for one.
TEST(DevicePlan, EveryConvolutionOfBothModelsHasAPlanOnAnH100) {
    for (const Precision precision : {Precision::Fp16, Precision::Bf16, Precision::Fp32}) {
        std::string reason;
        const std::unique_ptr<Planner> planner = planner_for(precision, reason);
        if (!planner) GTEST_SKIP() << reason;
        const DType type = activation_type_of(precision);
        EXPECT_EQ(planner->activation_type(), type);
        for (const int64_t batch : {1, 7, 16, 64, 256, 512}) {
            SCOPED_TRACE(std::string(name_of(type)) + ", batch " + std::to_string(batch));
            const Planned of_fcnn = plan_step(precision, Fusions::Quickest, &fcnn, batch);
            EXPECT_EQ(of_fcnn.convolution_passes, 27); // nine convolutions, three passes
            const Planned of_se_trans = plan_step(precision, Fusions::Quickest, &se_trans, batch);
            EXPECT_EQ(of_se_trans.convolution_passes, 12);
            EXPECT_EQ(of_fcnn.halves > 0, is_half_width(type));
            EXPECT_GT(of_fcnn.transient_bytes, static_cast<size_t>(batch) * 10'000'000);
        }
        plan_step(precision, Fusions::Quickest, &se_trans, 64, true);
    }
}

TEST(DevicePlan, EveryConvolutionHasAPlanOnEveryKnownGpu) {
    std::string reason;
    if (!planner_for(Precision::Fp16, reason)) GTEST_SKIP() << reason;
    EXPECT_GE(cuda_profiles().size(), 6u);
    for (const std::string& profile : cuda_profiles()) {
        SCOPED_TRACE(profile);
        for (const Precision precision : {Precision::Fp16, Precision::Tf32, Precision::Fp32}) {
            EXPECT_EQ(plan_step(precision, Fusions::Quickest, &fcnn, 64, false, profile).convolution_passes, 27);
            EXPECT_EQ(plan_step(precision, Fusions::Quickest, &se_trans, 64, true, profile).convolution_passes, 12);
        }
    }
}

TEST(DevicePlan, Tf32HasPlansToo) {
    std::string reason;
    const std::unique_ptr<Planner> planner = planner_for(Precision::Tf32, reason);
    if (!planner) GTEST_SKIP() << reason;
    plan_step(Precision::Tf32, Fusions::Quickest, &fcnn, 64);
    plan_step(Precision::Tf32, Fusions::Quickest, &se_trans, 64);
}

/// Without a device nothing is measured, so nothing is fused unless it is asked for.
TEST(DevicePlan, FusedConvolutionsInHalf) {
    std::string reason;
    const Conv2dShape shape{64, 125, 16, 288, 288}, first{64, 500, 64, 1, 144, 5, 2, 2};
    const std::vector<Conv2dShape> shapes{shape, first};
    const std::unique_ptr<Planner> separate = planner_for(Precision::Fp16, reason, Fusions::Quickest, shapes);
    if (!separate) GTEST_SKIP() << reason;
    const std::unique_ptr<Planner> fused = planner_for(Precision::Fp16, reason, Fusions::Always, shapes);
    const std::unique_ptr<Planner> single = planner_for(Precision::Fp32, reason, Fusions::Always, shapes);
    EXPECT_FALSE(separate->conv2d_fusion(shape).statistics);
    EXPECT_TRUE(fused->conv2d_fusion(shape).statistics);
    EXPECT_TRUE(fused->conv2d_fusion(shape).normalize_input);
    EXPECT_FALSE(fused->conv2d_fusion(first).statistics) << "not the library's";
    EXPECT_FALSE(single->conv2d_fusion(shape).statistics) << "for halves only";
    for (const ConvPass pass : {ConvPass::Forward, ConvPass::DataGrad, ConvPass::WeightGrad})
        EXPECT_GE(workspace(*fused, shape, pass), workspace(*separate, shape, pass));
    for (const int64_t batch : {1, 16, 256}) {
        for (const Network* network : {&fcnn, &se_trans}) {
            const Planned less = plan_step(Precision::Fp16, Fusions::Always, network, batch),
                          more = plan_step(Precision::Fp16, Fusions::Quickest, network, batch);
            EXPECT_LT(less.bytes_per_clip, more.bytes_per_clip - 8e6);
        }
    }
}

/// Bias and relu in the convolution save a read and a write of the outputs of five convolutions of the FCNN, 1.45
/// million values.
TEST(DevicePlan, FusedConvolutionsOfInference) {
    std::string reason;
    const Conv2dShape shape{64, 125, 16, 144, 288};
    for (const Precision precision : {Precision::Fp16, Precision::Bf16, Precision::Tf32, Precision::Fp32}) {
        const std::unique_ptr<Planner> separate = planner_for(precision, reason, Fusions::Quickest, {shape});
        if (!separate) GTEST_SKIP() << reason;
        EXPECT_FALSE(separate->conv2d_fusion(shape).bias_relu);
        EXPECT_TRUE(planner_for(precision, reason, Fusions::Always, {shape})->conv2d_fusion(shape).bias_relu);
        const auto saved = [&](const Network* network) {
            return plan_step(precision, Fusions::Quickest, network, 16).inference_bytes_per_clip -
                   plan_step(precision, Fusions::Always, network, 16).inference_bytes_per_clip;
        };
        const double values = 125.0 * 16 * 288 + 3 * 62.0 * 8 * 576 + 31.0 * 4 * 128;
        const double bytes = 2 * values * static_cast<double>(size_of(activation_type_of(precision)));
        EXPECT_NEAR(saved(&fcnn), bytes, 0.01 * bytes);
    }
}

/// With Fusions::Always a missing engine is an error if cuDNN supports such a shape. A shape that it does not support
/// is planned without fusion.
TEST(DevicePlan, AlwaysFailsWhereAnEngineIsMissing) {
    std::string reason;
    const Conv2dShape no_eights{64, 125, 16, 36, 72};
    const std::unique_ptr<Planner> fused = planner_for(Precision::Fp16, reason, Fusions::Always, {no_eights});
    if (!fused) GTEST_SKIP() << reason;
    EXPECT_FALSE(fused->conv2d_fusion(no_eights).statistics) << "36 channels are no eights";
    EXPECT_THROW(fused->conv2d_fusion({64, 125, 16, 288, 288}), std::logic_error) << "it was not asked to plan for it";
    const TemporaryFolder folder;
    std::string turing = cuda::device_profile("h100");
    const std::string version = "\"deviceVer\": 900";
    turing.replace(turing.find(version), version.size(), "\"deviceVer\": 750");
    write_text(folder / "turing.json", turing);
    const Conv2dShape shape{64, 125, 16, 288, 288};
    const auto planner_with = [&](Fusions fusions) {
        return make_cuda_planner({.precision = Precision::Fp16, .fusions = fusions}, folder / "turing.json", {shape});
    };
    EXPECT_TRUE(fails_with([&] { planner_with(Fusions::Always)->conv2d_fusion(shape); },
                           {"always", "with sums", "propose nothing", "quickest"}));
    EXPECT_FALSE(planner_with(Fusions::Quickest)->conv2d_fusion(shape).statistics);
}

/// Every pass has an engine, and a smaller last batch has the engines of the full batch.
TEST(DevicePlan, ReportsEnginesAndSharesThemWithASmallerLastBatch) {
    std::string reason;
    std::map<int64_t, std::vector<std::string>> engines;
    std::vector<Conv2dShape> shapes;
    size_t before = 0;
    for (const Conv2dShape& shape :
         {Conv2dShape{256, 125, 16, 288, 288}, {12, 125, 16, 288, 288}, {12, 125, 16, 288, 288, 3, 1, 1, 256}}) {
        shapes.push_back(shape);
        const std::unique_ptr<Planner> planner = planner_for(Precision::Fp16, reason, Fusions::Always, shapes);
        if (!planner) GTEST_SKIP() << reason;
        const std::vector<ConvChoice> choices = planner->conv2d_report().choices;
        for (size_t i = before; i < choices.size(); ++i) {
            EXPECT_NE(choices[i].engine, "") << choices[i].pass << choices[i].failures;
            engines[shape.batch + shape.full_batch].push_back(choices[i].engine);
        }
        before = choices.size();
    }
    EXPECT_EQ(engines[256].size(), 8u) << "three passes, and five fused forms of them";
    EXPECT_EQ(engines[12 + 256], engines[256]);
    EXPECT_NE(engines[12], engines[256]) << "it would have others";
}

/// Its tiles fit into 227 KB of shared memory, not into an A100's 163 KB or an L4's 99 KB: there the library computes
/// it.
TEST(DevicePlan, WhatDoesNotFitIntoSharedMemoryIsTheLibrarys) {
    std::string reason;
    if (!planner_for(Precision::Fp16, reason)) GTEST_SKIP() << reason;
    const Conv2dShape wide{16, 8, 200, 4, 128};
    for (const std::string& profile : cuda_profiles()) {
        const bool small = profile == "a100" || profile == "l4" || profile == "rtx4090";
        const auto planner = make_cuda_planner({.precision = Precision::Fp16}, profile, {wide});
        EXPECT_EQ(planner->conv2d_fusion(wide).closed_form_bn, !small) << profile;
        EXPECT_EQ(planner->conv2d_report().choices.empty(), !small) << profile;
        for (const ConvChoice& choice : planner->conv2d_report().choices)
            EXPECT_NE(choice.engine, "") << choice.failures;
    }
}

TEST(DeviceProfile, TellsTheLimitsOfADevice) {
    const auto limits = [](const std::string& name) { return cuda::limits_of(cuda::device_profile(name), name); };
    EXPECT_EQ(limits("h100").multiprocessors, cuda::DeviceLimits{}.multiprocessors);
    EXPECT_EQ(limits("h100").block_shared_bytes, cuda::DeviceLimits{}.block_shared_bytes);
    EXPECT_EQ(limits("a100").multiprocessors, 108);
    EXPECT_EQ(limits("a100").block_shared_bytes, 163u * 1024);
    EXPECT_EQ(limits("l4").multiprocessors, 58);
    EXPECT_EQ(limits("l4").block_shared_bytes, 99u * 1024);
    EXPECT_EQ(limits("b200").multiprocessors, 148);
    EXPECT_TRUE(fails_with([] { cuda::limits_of("{}", "empty.json"); }, {"empty.json", "multiProcessorCount"}));
    EXPECT_TRUE(fails_with([] { cuda::limits_of(R"({"multiProcessorCount": 3})", "x"); },
                           {"x", "maxSharedMemoryPerBlockOptin"}));
    EXPECT_TRUE(fails_with([] { cuda::limits_of(R"({"multiProcessorCount": -3})", "x"); }, {"multiProcessorCount"}));
    EXPECT_TRUE(fails_with([] { cuda::limits_of("{", "x"); }, {"x"}));
}

TEST(DevicePlan, ThePlannerNamesItsLibrary) {
    std::string reason;
    const std::unique_ptr<Planner> planner = planner_for(Precision::Fp16, reason);
    if (!planner) GTEST_SKIP() << reason;
    EXPECT_NE(planner->libraries().find("cuDNN"), std::string::npos);
}

TEST(DevicePlan, TheCommandShowsMemoryWithWorkspaces) {
    std::string reason;
    if (!planner_for(Precision::Fp16, reason)) GTEST_SKIP() << reason;
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

/// The settings reach cuDNN, and the command reports its engines.
TEST(DevicePlan, TheCommandShowsEngines) {
    std::string reason;
    if (!planner_for(Precision::Fp16, reason)) GTEST_SKIP() << reason;
    const TemporaryFolder folder;
    write_text(folder / "config.toml", "system = \"4\"\n");
    const auto choices = [&](const std::string& setting) {
        const Outcome outcome = scene_command({"plan", "--config", folder / "config.toml", "--batch", "16", "--json",
                                               "--device-profile", "h100", "--precision", "fp16", "--set", setting});
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        return parse_json(outcome.out).at("convolutions").at("choices");
    };
    const auto having = [](const json& entries, const std::string& part) {
        return std::count_if(entries.begin(), entries.end(), [&](const json& entry) {
            return entry.at("pass").get<std::string>().find(part) != std::string::npos;
        });
    };
    const json plain = choices("runtime.autotune=precompiled"), full = choices("runtime.autotune=full"),
               fused = choices("runtime.fusions=always");
    for (const json& entry : plain) EXPECT_NE(entry.at("engine"), "") << entry;
    EXPECT_EQ(having(plain, "compiled at run time"), 0);
    EXPECT_EQ(having(full, "compiled at run time"), static_cast<std::ptrdiff_t>(full.size()));
    EXPECT_EQ(having(plain, "with sums"), 0);
    EXPECT_GT(having(fused, "with sums"), 0);
}

// ---- what the CUDA device keeps and opens --------------------------------------------------------------------------

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
    EXPECT_EQ(both.find("forward")->left_out, 0);
    first.add("limited", "engine 3", 1, 11, 60);
    EXPECT_EQ(cuda::PlanCache(file).find("limited")->left_out, 11);
    EXPECT_EQ(cuda::PlanCache(file).find("limited")->budget_seconds, 60);
    EXPECT_FALSE(both.find("weight-grad"));
    write_text(file, read_text(file) + "by hand\tengine 1\t1.26\t0\t0\n");
    EXPECT_EQ(cuda::PlanCache(file).find("by hand")->microseconds, 1.3) << "as the next writer leaves it";
}

TEST(PlanCache, ADamagedFileCountsAsEmptyAndIsReplaced) {
    const TemporaryFolder folder;
    const std::string file = folder / "gpu.plans";
    cuda::PlanCache(file).add("forward", "engine 1", 1);
    const std::string good = read_text(file);
    for (const std::string& bad : {std::string("nonsense\n"), good + "half a line", good + "a\tb\tno number\t0\t0\n",
                                   good + "a\tb\tnan\t0\t0\n", good + "a\tb\t-1\t0\t0\n", good + "a\tb\t12\t0\t0",
                                   good + "a\tb\t12\t-1\t0\n", good + "a\tb\t12\t1\tinf\n", good + "a\tb\t12\n"}) {
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
    EXPECT_NE(unwritable.place().find("in this process only: "), std::string::npos);
}

/// Sets variables of the environment; the destructor restores them.
class Environment {
public:
    using Values = std::map<const char*, std::optional<std::string>>;
    explicit Environment(const Values& wanted) {
        for (const auto& [name, value] : wanted) {
            const char* now = std::getenv(name);
            before_[name] = now ? std::optional<std::string>(now) : std::nullopt;
            set(name, value);
        }
    }
    ~Environment() {
        for (const auto& [name, value] : before_) set(name, value);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

private:
    static void set(const char* name, const std::optional<std::string>& value) {
        value ? setenv(name, value->c_str(), 1) : unsetenv(name);
    }
    Values before_;
};

/// Without a cache every process would autotune again, and might choose other engines.
TEST(PlanCache, WithoutAHomeThereIsAFolderOfTheUsersOwn) {
    const TemporaryFolder folder;
    const Environment environment(
        Environment::Values{{"HOME", {}}, {"XDG_CACHE_HOME", {}}, {"TMPDIR", folder.path().string()}});
    const std::filesystem::path own = folder / ("scene-" + std::to_string(geteuid()));
    const std::filesystem::path file = cuda::PlanCache::file_for("A GPU", "9.19.0");
    EXPECT_EQ(file, own / "A-GPU-cudnn-9.19.0.plans");
    EXPECT_EQ(std::filesystem::status(own).permissions(), std::filesystem::perms::owner_all);
    cuda::PlanCache(file).add("forward", "engine 1", 1);
    EXPECT_EQ(cuda::PlanCache(file).find("forward")->choice, "engine 1");
    EXPECT_EQ(cuda::PlanCache(file).place(), file);

    std::filesystem::permissions(own, std::filesystem::perms::all);
    EXPECT_EQ(cuda::PlanCache::folder(), "") << "others could choose the plans";
    std::filesystem::remove_all(own);
    std::filesystem::create_directory_symlink(folder.path(), own);
    EXPECT_EQ(cuda::PlanCache::folder(), "") << "somewhere else";
    EXPECT_NE(cuda::PlanCache(cuda::PlanCache::file_for("A GPU", "9.19.0")).place().find("XDG_CACHE_HOME"),
              std::string::npos);
    const Environment with_home(Environment::Values{{"HOME", "/somewhere"}});
    EXPECT_EQ(cuda::PlanCache::folder(), "/somewhere/.cache/scene");
}

TEST(DlopenedLibrary, AMissingOneIsOneLine) {
    EXPECT_TRUE(fails_with([] { cuda::DlopenedLibrary("libnotthere.so.9", "cuNothing 9"); },
                           {"cuNothing 9", "libnotthere.so.9"}));
    const cuda::DlopenedLibrary there("libm.so.6", "the mathematics library");
    EXPECT_NE(there.function<double(double)>("cos"), nullptr);
    EXPECT_TRUE(fails_with([&] { (void)there.function<double(double)>("cosine_of_nothing"); },
                           {"too old", "cosine_of_nothing"}));
}

} // namespace
} // namespace scene::test
