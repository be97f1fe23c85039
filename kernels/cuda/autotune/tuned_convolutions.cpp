#include "kernels/cuda/autotune/tuned_convolutions.h"

#include <algorithm>

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
                                  std::find(ran_.begin(), ran_.end(), choice.task) != ran_.end(), choice.failures});
    report.kept = library_->times().place();
    return report;
}

} // namespace scene::cuda
