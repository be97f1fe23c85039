#include "kernels/cuda/cudnn_plans.h"

#include <algorithm>
#include <array>

#include "kernels/error.h"

namespace scene::cuda {
namespace {

/// The configurations that one mode of the heuristics proposes; none where it does not know the problem.
std::vector<Descriptor> proposals(const Descriptor& graph, const PlanTarget& target, cudnnBackendHeurMode_t mode) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    if (target.properties()) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.properties());
    if (!heuristics.try_finalize()) return {};
    return heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

Descriptor engine_of(const Descriptor& config) {
    std::vector<Descriptor> engines = config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    SCENE_CHECK(engines.size() == 1, "a configuration has one engine");
    return std::move(engines.front());
}

std::string engine_text(const Descriptor& config, const Descriptor& engine) {
    std::string text = fmt::format("engine {}", engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
    const std::vector<Descriptor> knobs = config.descriptors(
        CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS);
    if (!knobs.empty()) text += " knobs";
    for (const Descriptor& knob : knobs) {
        const auto type =
            knob.values<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1);
        text += fmt::format(" {}={}", int{type.at(0)}, knob.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    }
    return text;
}

bool suits(const Descriptor& engine, const ConvolutionProblem& problem) {
    const auto notes = engine.values<cudnnBackendNumericalNote_t>(
        CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
    const auto noted = [&](cudnnBackendNumericalNote_t note) {
        return std::find(notes.begin(), notes.end(), note) != notes.end();
    };
    if (problem.deterministic && noted(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
    if (noted(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
    if (noted(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
    return problem.tensor_cores || problem.type != DType::F32 || !noted(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

/// The first `most` plans whose engines `wanted` takes.
template <typename Wanted> std::vector<ConvolutionPlan>
build_plans(const ConvolutionProblem& problem, const PlanTarget& target, size_t most, Wanted&& wanted) {
    const auto graph = std::make_shared<const ConvolutionGraph>(problem, target);
    std::vector<ConvolutionPlan> out;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        for (Descriptor& config : proposals(graph->get(), target, mode)) {
            if (out.size() >= most) return out;
            const Descriptor engine = engine_of(config);
            if (!suits(engine, problem)) continue;
            std::string name = engine_text(config, engine);
            if (!wanted(name)) continue;
            if (std::any_of(out.begin(), out.end(), [&](const auto& known) { return known.engine == name; })) continue;
            Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
            plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
            if (target.handle()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target.handle());
            if (target.properties()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties());
            if (!plan.try_finalize()) continue;
            const auto workspace = static_cast<size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
            if (workspace > problem.most_workspace) continue;
            out.push_back({graph, std::move(config), std::move(plan), std::move(name), workspace});
        }
    }
    return out;
}

} // namespace

std::vector<ConvolutionPlan> convolution_plans(const ConvolutionProblem& problem, const PlanTarget& target,
                                               size_t most) {
    std::vector<ConvolutionPlan> out = build_plans(problem, target, most, [](const std::string&) { return true; });
    if (out.empty()) fail("cuDNN {} has no plan for {}", cudnn().version(), problem.text());
    return out;
}

std::optional<ConvolutionPlan> convolution_plan(const ConvolutionProblem& problem, const PlanTarget& target,
                                                const std::string& engine) {
    std::vector<ConvolutionPlan> out =
        build_plans(problem, target, 1, [&](const std::string& name) { return name == engine; });
    if (out.empty()) return std::nullopt;
    return std::move(out.front());
}

void execute(const ConvolutionPlan& plan, const PlanTarget& target, const ConvolutionOperands& operands,
             void* workspace) {
    std::vector<int64_t> roles;
    std::vector<void*> pointers;
    for (const auto& [role, memory] :
         std::initializer_list<std::pair<ConvTensor, void*>>{{ConvTensor::X, operands.x},
                                                             {ConvTensor::W, operands.w},
                                                             {ConvTensor::Y, operands.y},
                                                             {ConvTensor::Scale, operands.scale},
                                                             {ConvTensor::Shift, operands.shift},
                                                             {ConvTensor::Sum, operands.sum},
                                                             {ConvTensor::SquareSum, operands.square_sum},
                                                             {ConvTensor::NormX, operands.norm_x},
                                                             {ConvTensor::Mean, operands.mean},
                                                             {ConvTensor::InvStd, operands.inv_std},
                                                             {ConvTensor::Gamma, operands.gamma},
                                                             {ConvTensor::Beta, operands.beta},
                                                             {ConvTensor::DGamma, operands.dgamma},
                                                             {ConvTensor::DBeta, operands.dbeta},
                                                             {ConvTensor::UnusedA, operands.unused[0]},
                                                             {ConvTensor::UnusedB, operands.unused[1]},
                                                             {ConvTensor::UnusedC, operands.unused[2]}}) {
        if (!memory) continue;
        roles.push_back(static_cast<int64_t>(role));
        pointers.push_back(memory);
    }
    const std::array<void*, 1> scratch{workspace};
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const int64_t>(roles));
    pack.set_pointers(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers);
    pack.set_pointers(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, scratch);
    pack.finalize("the tensors of a convolution");
    check_cudnn(cudnn().execute(target.handle(), plan.plan.get(), pack.get()), "running a convolution");
}

} // namespace scene::cuda
