#pragma once

// The engine configurations that cuDNN's heuristics propose for a convolution, and the execution plans that can be
// built from those, on a device or from a device's properties alone.

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

/// The names of the heuristics' engines that suit the problem, in their order, best first. Nothing is built, so some
/// may be of no use.
std::vector<std::string> convolution_engines(const ConvolutionProblem& problem, const PlanTarget& target);

/// The plans that suit the problem, in the heuristics' order, best first, `most` at most; those whose engine cannot be
/// built for the target are left out. Throws Error when none is left: how many were left out for which reason.
std::vector<ConvolutionPlan> convolution_plans(const ConvolutionProblem& problem, const PlanTarget& target,
                                               size_t most);

/// The one of them whose engine has this name, or nothing. No other is built: that costs up to a second each where an
/// engine is compiled at run time.
std::optional<ConvolutionPlan> convolution_plan(const ConvolutionProblem& problem, const PlanTarget& target,
                                                const std::string& engine);

/// Runs the plan on the target's stream, with `workspace` of at least plan.workspace bytes.
void execute(const ConvolutionPlan& plan, const PlanTarget& target, const ConvolutionOperands& operands,
             void* workspace);

} // namespace scene::cuda
