#pragma once

// The engine configurations that cuDNN's heuristics propose for a convolution, and the execution plans that can be
// built from them, on a device or from a device's properties alone.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn/graph.h"

namespace scene::cuda {

/// A plan that can run.
struct ConvolutionPlan {
    std::shared_ptr<const ConvolutionGraph> graph;
    Descriptor config, plan;
    std::string engine;   ///< "engine 57 knobs 2=1 3=0": names the configuration among the candidates of its problem
    size_t workspace = 0; ///< bytes
};

/// A configuration of an engine, as cuDNN's heuristics propose it. No plan is built, and there may be none.
struct EngineConfiguration {
    std::string name; ///< as ConvolutionPlan::engine
    int64_t engine = 0;
    std::vector<std::string> notes; ///< cuDNN's notes: "tensor core", "compiled at run time"
    bool run_time_compiled = false;
    std::string unsuitable; ///< why the problem does not allow it; empty for a candidate
    Descriptor config;
};

/// The configurations that the heuristics propose, in their order, best first; each name once.
std::vector<EngineConfiguration> engine_configurations(const ConvolutionProblem& problem, const ConvolutionGraph& graph,
                                                       const PlanTarget& target);

/// A plan, or why there is none.
struct BuiltPlan {
    std::optional<ConvolutionPlan> plan;
    std::string failure; ///< empty if there is a plan or it wants too much workspace
    size_t workspace = 0;
};
BuiltPlan build_plan(const ConvolutionProblem& problem, const PlanTarget& target,
                     std::shared_ptr<const ConvolutionGraph> graph, EngineConfiguration configuration);

/// The names of the proposed engines that suit the problem, in the heuristics' order, best first. No plan is built, so
/// some may have none.
std::vector<std::string> convolution_engines(const ConvolutionProblem& problem, const PlanTarget& target);

/// At most `most` plans that suit the problem, in the heuristics' order, best first. Engines that cannot be built for
/// the target, or need too much workspace, are left out. Throws Error if none remains, with how many were left out and
/// why.
std::vector<ConvolutionPlan> convolution_plans(const ConvolutionProblem& problem, const PlanTarget& target,
                                               size_t most);

/// The plan whose engine has this name, if there is one. No other plan is built: an engine that is compiled at run time
/// takes up to a second.
std::optional<ConvolutionPlan> convolution_plan(const ConvolutionProblem& problem, const PlanTarget& target,
                                                const std::string& engine);

/// Queues the plan on the stream of the target's handle. `workspace`: at least plan.workspace bytes.
void execute(const ConvolutionPlan& plan, const PlanTarget& target, const ConvolutionOperands& operands,
             void* workspace);

} // namespace scene::cuda
