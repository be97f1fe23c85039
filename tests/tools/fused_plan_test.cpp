// What cuDNN's heuristics have for an H100 when a convolution takes in the work around it, in half precision: found
// from the device's properties, without a driver. Skipped where the machine has no cuDNN, empty where the build has
// none.

#if __has_include(<cudnn_graph.h>)

#include <algorithm>
#include <array>
#include <deque>
#include <optional>

#include <gtest/gtest.h>

#include "kernels/cuda/cudnn_plans.h"
#include "kernels/cuda/device_profiles.h"
#include "kernels/error.h"

namespace scene::test {
namespace {

using namespace cuda;

constexpr size_t generous = size_t{1} << 30;

/// Empty, with the reason, where no plan can be made here.
std::optional<PlanTarget> h100(std::string& reason) {
    try {
        return std::optional<PlanTarget>(std::in_place, device_profile("h100"));
    } catch (const Error& error) {
        reason = error.what();
        return std::nullopt;
    }
}

/// The library's convolutions of the FCNN, then those of SE-Trans.
std::vector<Conv2dShape> shapes(int64_t batch) {
    return {{batch, 250, 32, 144, 144}, {batch, 125, 16, 144, 288}, {batch, 125, 16, 288, 288},
            {batch, 62, 8, 288, 576},   {batch, 62, 8, 576, 576},   {batch, 31, 4, 576, 128, 1, 1, 0},
            {batch, 500, 64, 64, 64},   {batch, 250, 32, 64, 128},  {batch, 250, 32, 128, 128}};
}

constexpr ConvolutionFusion sums{.normalize_input = false, .statistics = true};
constexpr ConvolutionFusion normalized{.normalize_input = true, .statistics = false};
constexpr ConvolutionFusion both{.normalize_input = true, .statistics = true};

/// A name that two configurations shared would hide one of them from the measuring.
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

/// The fused engines carry no notes at all, so no filter leaves one out; workspaces hold partial sums of some rows
/// each.
TEST(FusedPlan, ConvolutionsInHalfHavePlans) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    for (const int64_t batch : {16, 64, 256}) {
        for (const Conv2dShape& shape : shapes(batch)) {
            for (const ConvolutionTask& task : {ConvolutionTask{shape, ConvPass::Forward, sums},
                                                {shape, ConvPass::Forward, both},
                                                {shape, ConvPass::WeightGrad, normalized}}) {
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

/// The fused engines carry no notes at all, so no filter leaves one out.
TEST(FusedPlan, EnginesAreNotNotedAsNondeterministic) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    const Conv2dShape shape = shapes(64)[2];
    for (const ConvolutionTask& task : {ConvolutionTask{shape, ConvPass::Forward, sums},
                                        {shape, ConvPass::Forward, both},
                                        {shape, ConvPass::WeightGrad, normalized}}) {
        ConvolutionProblem problem{task, DType::F16, true, true, generous};
        const size_t deterministic = convolution_plans(problem, *target, 100).size();
        problem.deterministic = false;
        EXPECT_EQ(convolution_plans(problem, *target, 100).size(), deterministic) << problem.text();
    }
}

/// Why an input norm comes with statistics in the forward pass. Engines that are compiled at run time might do without;
/// they drop out where there is no driver.
TEST(FusedPlan, AnInputNormNeedsStatistics) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    if (!cudnn().version().starts_with("9.19.")) GTEST_SKIP() << "cuDNN " << cudnn().version() << " was not looked at";
    const Conv2dShape shape = shapes(64).front();
    EXPECT_THROW(
        convolution_plans({{shape, ConvPass::Forward, normalized}, DType::F16, true, true, generous}, *target, 1),
        Error);
    EXPECT_THROW(convolution_plans({{shape, ConvPass::Forward, sums}, DType::F32, true, true, generous}, *target, 1),
                 Error);
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
}

// ---- data gradient + relu's gradient + sums of the batch norm's gradient
// ---------------------------------------------

/// The graph that docs/cuda.md weighs, built here alone: z = scale*(x - mean)*inv_std + shift is computed again from
/// the batch norm's input x, dz = dx*[z > 0], and the sums over dz and dz*x come with it.
class NormGradientGraph {
public:
    explicit NormGradientGraph(const Conv2dShape& shape) : shape_(shape) {
        const Descriptor &w = map(shape.w(), CUDNN_DATA_HALF), &dy = map(shape.y(), CUDNN_DATA_HALF);
        const Descriptor &x = map(shape.x(), CUDNN_DATA_HALF), &dz = map(shape.x(), CUDNN_DATA_HALF);
        const Descriptor &mean = channels(), &inv_std = channels(), &scale = channels(), &shift = channels();
        const Descriptor& dx = computed();
        data_gradient(dx, w, dy);
        const Descriptor& centred = pointwise(CUDNN_POINTWISE_SUB, x, &mean);
        const Descriptor& normed = pointwise(CUDNN_POINTWISE_MUL, centred, &inv_std);
        const Descriptor& scaled = pointwise(CUDNN_POINTWISE_MUL, normed, &scale);
        relu_gradient(dz, dx, pointwise(CUDNN_POINTWISE_ADD, scaled, &shift));
        Descriptor sums(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
        sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_DATA_FLOAT);
        sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean);
        sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, inv_std);
        sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, scale);
        sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x);
        sums.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, dz);
        for (const auto output :
             {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC,
              CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC,
              CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS})
            sums.set(output, channels());
        add(std::move(sums));
        graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(operations_));
        graph_.finalize("the graph");
    }

    /// Plans of the heuristics' proposals, and the largest workspace among them.
    std::pair<int, size_t> plans(const PlanTarget& target) const {
        Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
        heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
        heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_HEUR_MODE_A);
        heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.properties());
        heuristics.finalize("heuristics");
        int count = 0;
        size_t most = 0;
        for (const Descriptor& config :
             heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)) {
            Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
            plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
            plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties());
            if (!plan.try_finalize()) continue;
            ++count;
            most = std::max(most, static_cast<size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)));
        }
        return {count, most};
    }

private:
    const Descriptor& keep(Descriptor descriptor) { return parts_.emplace_back(std::move(descriptor)); }
    void add(Descriptor operation) {
        operation.finalize("an operation");
        operations_.push_back(std::move(operation));
    }
    const Descriptor& tensor(const Shape& shape, cudnnDataType_t type, bool computed) {
        const std::array<int64_t, 4> extents{shape[0], shape[3], shape[1], shape[2]};
        const std::array<int64_t, 4> strides{shape[1] * shape[2] * shape[3], 1, shape[2] * shape[3], shape[3]};
        Descriptor out(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
        out.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
        out.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const int64_t>(extents));
        out.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const int64_t>(strides));
        out.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, ++last_id_);
        out.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});
        out.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, computed);
        out.finalize("a tensor");
        return keep(std::move(out));
    }
    const Descriptor& map(const Shape& shape, cudnnDataType_t type) { return tensor(shape, type, false); }
    const Descriptor& computed() { return tensor(shape_.x(), CUDNN_DATA_FLOAT, true); }
    const Descriptor& channels() { return tensor({1, 1, 1, shape_.in_channels}, CUDNN_DATA_FLOAT, false); }
    const Descriptor& function(cudnnPointwiseMode_t mode) {
        Descriptor out(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
        out.set(CUDNN_ATTR_POINTWISE_MODE, mode);
        out.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
        out.finalize("a function");
        return keep(std::move(out));
    }
    const Descriptor& pointwise(cudnnPointwiseMode_t mode, const Descriptor& a, const Descriptor* b) {
        const Descriptor& y = computed();
        Descriptor out(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function(mode));
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
        add(std::move(out));
        return y;
    }
    void relu_gradient(const Descriptor& dz, const Descriptor& dy, const Descriptor& z) {
        Descriptor out(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function(CUDNN_POINTWISE_RELU_BWD));
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, z);
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, dy);
        out.set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dz);
        add(std::move(out));
    }
    void data_gradient(const Descriptor& dx, const Descriptor& w, const Descriptor& dy) {
        const std::array<int64_t, 2> one{1, 1}, padding{shape_.padding, shape_.padding};
        Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
        convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
        convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
        convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
        convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::span<const int64_t>(one));
        convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::span<const int64_t>(one));
        convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::span<const int64_t>(padding));
        convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::span<const int64_t>(padding));
        convolution.finalize("convolution");
        Descriptor out(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
        out.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, dx);
        out.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w);
        out.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, dy);
        out.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, keep(std::move(convolution)));
        out.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f);
        out.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f);
        add(std::move(out));
    }

    Conv2dShape shape_;
    int64_t last_id_ = 0;
    std::deque<Descriptor> parts_;
    std::vector<Descriptor> operations_;
    Descriptor graph_{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR};
};

TEST(FusedPlan, ADataGradientIntoABatchNormHasPlans) {
    std::string reason;
    const std::optional<PlanTarget> target = h100(reason);
    if (!target) GTEST_SKIP() << reason;
    for (const int64_t batch : {16, 64, 256}) {
        const Conv2dShape shape{batch, 125, 16, 288, 288}; // block2.conv2 into block2.norm1
        const auto [count, workspace] = NormGradientGraph(shape).plans(*target);
        EXPECT_GE(count, 9) << batch;
        EXPECT_LE(workspace, static_cast<size_t>(shape.x().elements()) / 8 + (size_t{4} << 20)) << batch;
    }
}

} // namespace
} // namespace scene::test

#endif
