#include "kernels/cuda/cudnn/plans.h"

#include <algorithm>
#include <array>

#include "kernels/error.h"

namespace scene::cuda {
namespace {

/// The configurations that one mode of the heuristics proposes; none if it does not support the problem.
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

bool is_compiled_at_run_time(const Descriptor& engine) {
    const auto notes = engine.values<cudnnBackendBehaviorNote_t>(
        CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
    return std::find(notes.begin(), notes.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != notes.end();
}

bool suits(const Descriptor& engine, const ConvolutionProblem& problem) {
    if (!problem.run_time_compiled && is_compiled_at_run_time(engine)) return false;
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

/// How many proposed configurations were left out, and why.
struct LeftOut {
    int proposed = 0, by_notes = 0, too_large = 0, not_built = 0;
    std::string last_not_built;

    std::string text() const {
        if (proposed == 0) return "its heuristics propose nothing";
        std::string out = fmt::format("of {} proposed, {} are left out by their notes, {} want more workspace and {} "
                                      "cannot be built",
                                      proposed, by_notes, too_large, not_built);
        return not_built > 0 ? fmt::format("{} (the last: {})", out, last_not_built) : out;
    }
};

/// Calls take(config, name) for each suitable configuration, each name once, until it returns false.
template <typename Take> void visit_suitable(const ConvolutionProblem& problem, const ConvolutionGraph& graph,
                                             const PlanTarget& target, LeftOut& left_out, Take&& take) {
    std::vector<std::string> seen;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        for (Descriptor& config : proposals(graph.get(), target, mode)) {
            const Descriptor engine = engine_of(config);
            std::string name = engine_text(config, engine);
            if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
            seen.push_back(name);
            ++left_out.proposed;
            if (!suits(engine, problem)) {
                ++left_out.by_notes;
            } else if (!take(config, name)) {
                return;
            }
        }
    }
}

/// The first `most` plans whose engines' names `wanted` accepts.
template <typename Wanted> std::vector<ConvolutionPlan> build_plans(const ConvolutionProblem& problem,
                                                                    const PlanTarget& target, size_t most,
                                                                    LeftOut& left_out, Wanted&& wanted) {
    const auto graph = std::make_shared<const ConvolutionGraph>(problem, target);
    std::vector<ConvolutionPlan> out;
    visit_suitable(problem, *graph, target, left_out, [&](Descriptor& config, std::string& name) {
        if (!wanted(name)) return true;
        Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
        if (target.handle()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target.handle());
        if (target.properties()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties());
        if (const std::string reason = plan.finalize_or_reason(); !reason.empty()) {
            ++left_out.not_built;
            left_out.last_not_built = fmt::format("{}: {}", name, reason);
            return true;
        }
        const auto workspace = static_cast<size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
        if (workspace > problem.most_workspace) {
            ++left_out.too_large;
            return true;
        }
        out.push_back({graph, std::move(config), std::move(plan), std::move(name), workspace});
        return out.size() < most;
    });
    return out;
}

} // namespace

std::vector<std::string> convolution_engines(const ConvolutionProblem& problem, const PlanTarget& target) {
    const ConvolutionGraph graph(problem, target);
    std::vector<std::string> names;
    LeftOut left_out;
    visit_suitable(problem, graph, target, left_out, [&](Descriptor&, std::string& name) {
        names.push_back(name);
        return true;
    });
    return names;
}

std::vector<ConvolutionPlan> convolution_plans(const ConvolutionProblem& problem, const PlanTarget& target,
                                               size_t most) {
    LeftOut left_out;
    std::vector<ConvolutionPlan> out =
        build_plans(problem, target, most, left_out, [](const std::string&) { return true; });
    if (out.empty()) fail("cuDNN {} has no plan for {}: {}", cudnn().version(), problem.text(), left_out.text());
    return out;
}

std::optional<ConvolutionPlan> convolution_plan(const ConvolutionProblem& problem, const PlanTarget& target,
                                                const std::string& engine) {
    LeftOut left_out;
    std::vector<ConvolutionPlan> out =
        build_plans(problem, target, 1, left_out, [&](const std::string& name) { return name == engine; });
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
                                                             {ConvTensor::Bias, operands.bias},
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
    const cudnnStatus_t status = cudnn().execute(target.handle(), plan.plan.get(), pack.get());
    if (status != CUDNN_STATUS_SUCCESS) fail_cudnn(status, "running a convolution by " + plan.engine);
}

} // namespace scene::cuda
