// Fused convolutions: the plans that cuDNN's heuristics propose for an H100, from the device's
// properties, without a driver. Skipped if the machine has no cuDNN, not built if the build has none.

#include <algorithm>
#include <optional>
#include <tuple>

#include <gtest/gtest.h>

#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/cuda/cudnn/plans.h"
#include "kernels/error.h"
#include "tests/support/expect_error.h"

namespace scene::test {
namespace {

using namespace cuda;

constexpr size_t generous = size_t{1} << 30;

/// Empty, with the reason, if no plan can be made here.
std::optional<PlanTarget> h100(std::string& reason) {
    try {
        return std::optional<PlanTarget>(std::in_place, device_profile("h100"));
    } catch (const Error& error) {
        reason = error.what();
        return std::nullopt;
    }
}

/// The convolutions that cuDNN runs: those of the FCNN, then those of SE-Trans.
std::vector<Conv2dShape> shapes(int64_t batch) {
    return {{batch, 250, 32, 144, 144}, {batch, 125, 16, 144, 288}, {batch, 125, 16, 288, 288},
            {batch, 62, 8, 288, 576},   {batch, 62, 8, 576, 576},   {batch, 31, 4, 576, 128, 1, 1, 0},
            {batch, 500, 64, 64, 64},   {batch, 250, 32, 64, 128},  {batch, 250, 32, 128, 128}};
}

constexpr ConvolutionFusion sums{.normalize_input = false, .statistics = true};
constexpr ConvolutionFusion normalized{.normalize_input = true, .statistics = false};
constexpr ConvolutionFusion both{.normalize_input = true, .statistics = true};
constexpr ConvolutionFusion into_norm{.bn_reduce = true};
constexpr ConvolutionFusion rectified{.bias_relu = true};

/// If two configurations shared a name, autotuning would lose one of them.
TEST(FusedPlan, CandidatesHaveNamesOfTheirOwn) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    for (const ConvPass pass : {ConvPass::Forward, ConvPass::DataGrad, ConvPass::WeightGrad}) {
        const ConvolutionProblem problem{{shapes(64).front(), pass, {}}, DType::F16, true, true, generous};
        const std::vector<ConvolutionPlan> plans = convolution_plans(problem, *target, 12);
        ASSERT_EQ(plans.size(), 12u) << problem.text();
        for (const ConvolutionPlan& plan : plans) EXPECT_NE(plan.engine.find(" knobs "), std::string::npos);
        const std::optional<ConvolutionPlan> same = convolution_plan(problem, *target, plans[5].engine);
        ASSERT_TRUE(same) << plans[5].engine;
        EXPECT_EQ(same->engine, plans[5].engine);
        EXPECT_EQ(same->workspace, plans[5].workspace);
        EXPECT_FALSE(convolution_plan(problem, *target, "engine 12345")) << "as after another version of cuDNN";
    }
}

/// The workspaces hold partial sums, each of some rows.
TEST(FusedPlan, ConvolutionsInHalfHavePlans) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    for (const int64_t batch : {16, 64, 256}) {
        for (const Conv2dShape& shape : shapes(batch)) {
            for (const ConvolutionTask& task : {ConvolutionTask{shape, ConvPass::Forward, sums},
                                                {shape, ConvPass::Forward, both},
                                                {shape, ConvPass::WeightGrad, normalized},
                                                {shape, ConvPass::DataGrad, into_norm}}) {
                const ConvolutionProblem problem{task, DType::F16, true, true, generous};
                SCOPED_TRACE(problem.text());
                const std::vector<ConvolutionPlan> plans = convolution_plans(problem, *target, 9);
                EXPECT_EQ(plans.size(), 9u);
                const auto maps =
                    static_cast<size_t>(shape.x().elements() + shape.y().elements()) * size_of(DType::F16);
                EXPECT_LE(plans.front().workspace, maps / 8 + (size_t{4} << 20));
            }
        }
    }
}

/// In inference, in every precision; in float without tensor cores there are few engines.
TEST(FusedPlan, ConvolutionsWithBiasAndReluHavePlans) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    for (const Conv2dShape& shape : shapes(64)) {
        const ConvolutionTask task{shape, ConvPass::Forward, rectified};
        for (const auto& [type, tensor_cores, least] : {std::tuple<DType, bool, size_t>{DType::F16, true, 12},
                                                        {DType::BF16, true, 12},
                                                        {DType::F32, true, 12},
                                                        {DType::F32, false, 1}}) {
            const ConvolutionProblem problem{task, type, tensor_cores, true, generous};
            EXPECT_EQ(convolution_plans(problem, *target, least).size(), least) << problem.text();
        }
    }
}

/// cuDNN attaches no notes to the fused engines, so that no filter leaves one out.
TEST(FusedPlan, EnginesAreNotNotedAsNondeterministic) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    const Conv2dShape shape = shapes(64)[2];
    for (const ConvolutionTask& task : {ConvolutionTask{shape, ConvPass::Forward, sums},
                                        {shape, ConvPass::Forward, both},
                                        {shape, ConvPass::WeightGrad, normalized},
                                        {shape, ConvPass::DataGrad, into_norm}}) {
        ConvolutionProblem problem{task, DType::F16, true, true, generous};
        const size_t deterministic = convolution_plans(problem, *target, 100).size();
        problem.deterministic = false;
        EXPECT_EQ(convolution_plans(problem, *target, 100).size(), deterministic) << problem.text();
    }
}

/// Why the forward pass normalises its input only together with statistics, and why BF16 has none of these fusions:
/// cuDNN proposes no engine. Engines
/// compiled at run time might do without, but need a driver.
TEST(FusedPlan, AnInputNormNeedsStatisticsAndFusionsOfTrainingNeedHalves) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    if (!cudnn().version().starts_with("9.19.")) GTEST_SKIP() << "cuDNN " << cudnn().version() << " was not looked at";
    const Conv2dShape shape = shapes(64).front();
    for (const ConvolutionProblem& problem :
         {ConvolutionProblem{{shape, ConvPass::Forward, normalized}, DType::F16, true, true, generous},
          {{shape, ConvPass::Forward, sums}, DType::F32, true, true, generous},
          {{shape, ConvPass::Forward, sums}, DType::BF16, true, true, generous},
          {{shape, ConvPass::WeightGrad, normalized}, DType::BF16, true, true, generous},
          {{shape, ConvPass::DataGrad, into_norm}, DType::BF16, true, true, generous}})
        EXPECT_TRUE(fails_with([&] { convolution_plans(problem, *target, 1); }, {"has no plan", "propose nothing"}));
}

TEST(FusedPlan, WhyThereIsNoneIsCounted) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    EXPECT_TRUE(fails_with(
        [&] {
            convolution_plans({{shapes(64)[0], ConvPass::Forward, sums}, DType::F16, true, true, 0}, *target, 1);
        },
        {"of 10 proposed", "10 want more workspace", "0 cannot be built"}));
}

TEST(FusedPlan, TheTextNamesTheFusion) {
    const Conv2dShape shape{2, 8, 4, 16, 24};
    const auto text = [&](ConvPass pass, const ConvolutionFusion& fusion) {
        return ConvolutionProblem{{shape, pass, fusion}, DType::F16, true, true, 7}.text();
    };
    EXPECT_EQ(text(ConvPass::Forward, {}),
              "forward F16 [2, 8, 4, 16] [24, 3, 3, 16] stride 1 padding 1 deterministic within 7");
    EXPECT_EQ(text(ConvPass::Forward, both),
              "forward of relu(scale*x + shift) with sums F16 [2, 8, 4, 16] [24, 3, 3, 16] stride 1 padding 1 "
              "deterministic within 7");
    EXPECT_NE(text(ConvPass::WeightGrad, normalized), text(ConvPass::WeightGrad, {}));
    EXPECT_NE(text(ConvPass::DataGrad, into_norm), text(ConvPass::DataGrad, {}));
    EXPECT_NE(text(ConvPass::Forward, rectified), text(ConvPass::Forward, {}));
}

} // namespace
} // namespace scene::test
