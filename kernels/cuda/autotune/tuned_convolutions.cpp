#include "kernels/cuda/autotune/tuned_convolutions.h"

#include <algorithm>
#include <chrono>

#include "kernels/conv2d/stem.h"
#include "kernels/operands.h"
#include "kernels/runtime.h"

namespace scene::cuda {

std::vector<ConvolutionTask> tasks_of(const Conv2dShape& shape, const ConvFusion& fusion) {
    std::vector<ConvolutionTask> tasks;
    const auto add = [&](ConvPass pass, const ConvolutionFusion& fused) { tasks.push_back({shape, pass, fused}); };
    add(ConvPass::Forward, {});
    if (fusion.statistics) add(ConvPass::Forward, {.statistics = true});
    if (fusion.normalize_input) add(ConvPass::Forward, {.normalize_input = true, .statistics = true});
    if (fusion.bias_relu) add(ConvPass::Forward, {.bias_relu = true});
    add(ConvPass::DataGrad, {});
    if (fusion.bn_reduce) add(ConvPass::DataGrad, {.bn_reduce = true});
    add(ConvPass::WeightGrad, {});
    if (fusion.normalize_input) add(ConvPass::WeightGrad, {.normalize_input = true});
    return tasks;
}

std::vector<ConvolutionTask> TunedConvolutions::considered(const Conv2dShape& shape) const {
    if (conv2d_stem_suits(shape, limits_) || shape.full_batch > 0) return {};
    const bool fused = fusions_ != Fusions::Never;
    std::vector<ConvolutionTask> tasks =
        tasks_of(shape, {.normalize_input = fused, .statistics = fused, .bias_relu = fused, .bn_reduce = fused});
    std::erase_if(tasks, [&](const ConvolutionTask& task) { return !library_->offers(task); });
    return tasks;
}

void TunedConvolutions::tune_step(const std::vector<Conv2dShape>& shapes, Context* device) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::pair<double, Conv2dShape>> by_work;
    for (const Conv2dShape& shape : shapes) {
        check_convolution(shape);
        const auto known =
            std::find_if(by_work.begin(), by_work.end(), [&](const auto& one) { return one.second == shape; });
        if (known != by_work.end())
            known->first += shape.flops();
        else
            by_work.emplace_back(shape.flops(), shape);
    }
    std::stable_sort(by_work.begin(), by_work.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    library_->begin_step();
    if (device && library_->improves()) {
        std::erase_if(by_work, [&](const auto& one) { return knows(one.second); });
        for (const auto& [work, shape] : by_work)
            for (const ConvolutionTask& task : considered(shape)) library_->choose(task);
        for (const auto& [work, shape] : by_work)
            for (const ConvolutionTask& task : considered(shape)) library_->improve(task);
    }
    for (const auto& [work, shape] : by_work) tune(shape, device);
    spent_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

const ConvFusion* TunedConvolutions::find(const Conv2dShape& shape) const {
    const auto known = std::find_if(tuned_.begin(), tuned_.end(), [&](const auto& one) { return one.first == shape; });
    return known == tuned_.end() ? nullptr : &known->second;
}

const ConvFusion& TunedConvolutions::fusion(const Conv2dShape& shape) const {
    const ConvFusion* known = find(shape);
    SCENE_CHECK(known, fmt::format("the convolution of {} with {}, stride {}, padding {} was not given to autotune",
                                   shape.x().text(), shape.w().text(), shape.stride, shape.padding));
    return *known;
}

void TunedConvolutions::check_offered(const ConvolutionTask& task) const {
    const std::vector<ConvolutionTask> offered = tasks_of(task.shape, fusion(task.shape));
    SCENE_CHECK(std::find(offered.begin(), offered.end(), task) != offered.end(),
                "conv2d_fusion does not offer this fusion");
}

size_t TunedConvolutions::workspace_bytes(const ConvolutionTask& task) const {
    check_offered(task);
    return library_->scratch_bytes(task);
}

void TunedConvolutions::run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* workspace,
                            cudaStream_t stream) {
    check_offered(task);
    if (std::find(ran_.begin(), ran_.end(), task) == ran_.end()) ran_.push_back(task);
    library_->run(task, operands, workspace, stream);
}

ConvReport TunedConvolutions::report() const {
    ConvReport report;
    for (const ConvolutionChoice& choice : library_->choices())
        report.choices.push_back({choice.text, choice.engine, choice.seconds,
                                  std::find(ran_.begin(), ran_.end(), choice.task) != ran_.end(), choice.failures,
                                  choice.left_out});
    report.kept = library_->times().place();
    report.budget_seconds = library_->budget_seconds();
    report.spent_seconds = spent_seconds_;
    return report;
}

} // namespace scene::cuda
