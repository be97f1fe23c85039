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

std::string engine_text(const Descriptor& config, int64_t engine) {
    std::string text = fmt::format("engine {}", engine);
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

/// cuDNN's notes on an engine.
struct Notes {
    std::vector<cudnnBackendBehaviorNote_t> behaviour;
    std::vector<cudnnBackendNumericalNote_t> numerical;

    explicit Notes(const Descriptor& engine)
        : behaviour(engine.values<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                                              CUDNN_BEHAVIOR_NOTE_TYPE_COUNT)),
          numerical(engine.values<cudnnBackendNumericalNote_t>(
              CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT)) {}

    bool has(cudnnBackendBehaviorNote_t note) const {
        return std::find(behaviour.begin(), behaviour.end(), note) != behaviour.end();
    }
    bool has(cudnnBackendNumericalNote_t note) const {
        return std::find(numerical.begin(), numerical.end(), note) != numerical.end();
    }
    std::vector<std::string> texts() const {
        constexpr std::array<const char*, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT> of_behaviour{
            "compiled at run time", "reorders an int8 filter", "reorders an int8 bias", "native CUDA graphs",
            "needs cuBLASLt"};
        constexpr std::array<const char*, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> of_numerics{"tensor core",
                                                                                       "down-converts inputs",
                                                                                       "reduced precision reduction",
                                                                                       "FFT",
                                                                                       "nondeterministic",
                                                                                       "Winograd",
                                                                                       "Winograd tiles of 4x4",
                                                                                       "Winograd tiles of 6x6",
                                                                                       "Winograd tiles of 13x13",
                                                                                       "strict NaN propagation"};
        const auto text = [](const auto& table, auto note) {
            const auto index = static_cast<size_t>(note);
            return index < table.size() ? std::string(table[index]) : fmt::format("note {}", index);
        };
        std::vector<std::string> out;
        for (const auto note : behaviour) out.push_back(text(of_behaviour, note));
        for (const auto note : numerical) out.push_back(text(of_numerics, note));
        return out;
    }
};

/// Why the problem does not allow an engine with these notes; empty if it does.
std::string why_unsuitable(const Notes& notes, const ConvolutionProblem& problem) {
    if (!problem.run_time_compiled && notes.has(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)) return "compiled at run time";
    if (problem.deterministic && notes.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return "nondeterministic";
    if (notes.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return "down-converts inputs";
    if (notes.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return "reduced precision reduction";
    if (!problem.tensor_cores && problem.type == DType::F32 && notes.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE))
        return "tensor core";
    return "";
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

/// Calls take(configuration) for each proposed one, each name once, until it returns false.
template <typename Take> void visit_configurations(const ConvolutionProblem& problem, const ConvolutionGraph& graph,
                                                   const PlanTarget& target, Take&& take) {
    std::vector<std::string> seen;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        for (Descriptor& config : proposals(graph.get(), target, mode)) {
            const Descriptor engine = engine_of(config);
            const int64_t index = engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
            std::string name = engine_text(config, index);
            if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
            seen.push_back(name);
            const Notes notes(engine);
            EngineConfiguration found{std::move(name),
                                      index,
                                      notes.texts(),
                                      notes.has(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION),
                                      why_unsuitable(notes, problem),
                                      std::move(config)};
            if (!take(found)) return;
        }
    }
}

/// The first `most` plans whose engines' names `wanted` accepts.
template <typename Wanted> std::vector<ConvolutionPlan> build_plans(const ConvolutionProblem& problem,
                                                                    const PlanTarget& target, size_t most,
                                                                    LeftOut& left_out, Wanted&& wanted) {
    const auto graph = std::make_shared<const ConvolutionGraph>(problem, target);
    std::vector<ConvolutionPlan> out;
    visit_configurations(problem, *graph, target, [&](EngineConfiguration& configuration) {
        ++left_out.proposed;
        if (!configuration.unsuitable.empty()) ++left_out.by_notes;
        if (!configuration.unsuitable.empty() || !wanted(configuration.name)) return true;
        const std::string name = configuration.name;
        BuiltPlan built = build_plan(problem, target, graph, std::move(configuration));
        if (!built.failure.empty()) {
            ++left_out.not_built;
            left_out.last_not_built = fmt::format("{}: {}", name, built.failure);
        } else if (!built.plan) {
            ++left_out.too_large;
        } else {
            out.push_back(std::move(*built.plan));
        }
        return out.size() < most;
    });
    return out;
}

} // namespace

std::vector<EngineConfiguration> engine_configurations(const ConvolutionProblem& problem, const ConvolutionGraph& graph,
                                                       const PlanTarget& target) {
    std::vector<EngineConfiguration> out;
    visit_configurations(problem, graph, target, [&](EngineConfiguration& configuration) {
        out.push_back(std::move(configuration));
        return true;
    });
    return out;
}

BuiltPlan build_plan(const ConvolutionProblem& problem, const PlanTarget& target,
                     std::shared_ptr<const ConvolutionGraph> graph, EngineConfiguration configuration) {
    BuiltPlan out;
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration.config);
    if (target.handle()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target.handle());
    if (target.properties()) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties());
    out.failure = plan.finalize_or_reason();
    if (!out.failure.empty()) return out;
    out.workspace = static_cast<size_t>(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
    if (out.workspace <= problem.most_workspace)
        out.plan = ConvolutionPlan{std::move(graph), std::move(configuration.config), std::move(plan),
                                   std::move(configuration.name), out.workspace};
    return out;
}

std::vector<std::string> convolution_engines(const ConvolutionProblem& problem, const PlanTarget& target) {
    const ConvolutionGraph graph(problem, target);
    std::vector<std::string> names;
    for (const EngineConfiguration& one : engine_configurations(problem, graph, target))
        if (one.unsuitable.empty()) names.push_back(one.name);
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
