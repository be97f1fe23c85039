// In what order the convolutions of a step are tuned.

#include "kernels/cuda/autotune/tuned_convolutions.h"
#include "kernels/cuda/cuda_device.h"
#include "tests/cuda_on_cpu/library_stand_ins.h"

namespace scene::test {
namespace {

/// A library with engines that are compiled at run time, which writes down what it is asked for. Tasks in `unmeasured`
/// have no time.
class Recording final : public cuda::Convolutions {
public:
    struct Calls {
        std::vector<std::string> all;
        std::vector<cuda::ConvolutionTask> unmeasured;
        bool improves = true;
    };
    explicit Recording(Calls& calls)
        : calls_(calls),
          to_(convolutions_on_cpu(DType::F16, [](const auto& task) { return task.fusion.any() ? 1.0 : 2.0; })) {}

    std::string version() const override { return to_->version(); }
    bool offers(const cuda::ConvolutionTask& task) const override { return to_->offers(task); }
    void choose(const cuda::ConvolutionTask& task) override {
        to_->choose(task);
        note("choose", task);
    }
    bool improves() const override { return calls_.improves; }
    void improve(const cuda::ConvolutionTask& task) override { note("improve", task); }
    void begin_step() override { calls_.all.emplace_back("step"); }
    double budget_seconds() const override { return 7; }
    size_t scratch_bytes(const cuda::ConvolutionTask& task) const override { return to_->scratch_bytes(task); }
    std::optional<double> seconds(const cuda::ConvolutionTask& task) const override {
        for (const auto& one : calls_.unmeasured)
            if (one == task) return std::nullopt;
        return to_->seconds(task);
    }
    std::vector<cuda::ConvolutionChoice> choices() const override { return to_->choices(); }
    cuda::PlanCache& times() override { return to_->times(); }
    void run(const cuda::ConvolutionTask&, const cuda::ConvolutionOperands&, void*, cudaStream_t) override {}

private:
    void note(const char* what, const cuda::ConvolutionTask& task) {
        if (task.pass == ConvPass::Forward && !task.fusion.any())
            calls_.all.push_back(what + std::to_string(task.shape.out_channels));
    }
    Calls& calls_;
    std::unique_ptr<cuda::Convolutions> to_;
};

constexpr Conv2dShape few{2, 6, 5, 16, 8}, many{2, 6, 5, 16, 32}, twice{2, 6, 5, 16, 24}, stem{2, 6, 5, 1, 16};

TEST(TuneStep, WhatComputesMostComesFirstAndWhatIsCompiledAtRunTimeLast) {
    Recording::Calls calls;
    cuda::CudaDevice device(DType::F16, std::make_unique<Recording>(calls), gemm_on_cpu(), Fusions::Never);
    device.autotune({few, twice, stem, many, twice});
    const std::vector<std::string> first(calls.all.begin(), calls.all.begin() + 7);
    EXPECT_EQ(first, (std::vector<std::string>{"step", "choose24", "choose32", "choose8", "improve24", "improve32",
                                               "improve8"}));
    EXPECT_EQ(device.planner().conv2d_report().budget_seconds, 7);
    EXPECT_GT(device.planner().conv2d_report().spent_seconds, 0);
    calls.all.clear();
    device.autotune({many, few});
    EXPECT_EQ(calls.all, std::vector<std::string>{"step"}) << "known already";
}

TEST(TuneStep, WithoutEnginesCompiledAtRunTimeNothingIsImproved) {
    Recording::Calls calls;
    calls.improves = false;
    cuda::CudaDevice device(DType::F16, std::make_unique<Recording>(calls), gemm_on_cpu(), Fusions::Never);
    device.autotune({few, many});
    EXPECT_EQ(calls.all, (std::vector<std::string>{"step", "choose32", "choose8"}));
}

/// There was no time to measure it.
TEST(TuneStep, WhatHasNoTimeIsNotFused) {
    const cuda::ConvolutionTask sums{many, ConvPass::Forward, {.statistics = true}};
    const cuda::ConvolutionTask reduce{many, ConvPass::DataGrad, {.bn_reduce = true}};
    const cuda::ConvolutionTask raw{many, ConvPass::WeightGrad, {.normalize_input = true}};
    for (int without = 0; without < 4; ++without) {
        Recording::Calls calls;
        if (without > 0) calls.unmeasured = {without == 1 ? sums : without == 2 ? reduce : raw};
        cuda::CudaDevice device(DType::F16, std::make_unique<Recording>(calls), gemm_on_cpu(), Fusions::Quickest);
        device.autotune({many});
        const ConvFusion fusion = device.planner().conv2d_fusion(many);
        EXPECT_EQ(fusion.statistics, without != 1) << without;
        EXPECT_EQ(fusion.bn_reduce, without != 2) << without;
        EXPECT_EQ(fusion.normalize_input, without == 0 || without == 2) << without;
    }
}

} // namespace
} // namespace scene::test
