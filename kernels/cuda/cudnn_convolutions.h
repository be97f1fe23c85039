#pragma once

#include <map>

#include "kernels/cuda/cudnn_plans.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/plan_cache.h"

namespace scene::cuda {

struct ConvolutionSettings {
    DType type = DType::F32;
    bool tensor_cores = true;  ///< F32: TF32 products
    bool deterministic = true; ///< leave out engines that add in an order of their own
};

/// cuDNN's convolutions. The plan of a pass is chosen when it is first asked for: on a device the quickest of the
/// heuristics' candidates, measured once and remembered in the cache; without one the heuristics' first.
class CudnnConvolutions final : public Convolutions {
public:
    CudnnConvolutions(const ConvolutionSettings& settings, std::filesystem::path cache);
    /// For a device that need not be there; `run` must not be called.
    CudnnConvolutions(const ConvolutionSettings& settings, const std::string& device_properties);

    std::string version() const override;
    /// Fused engines are for halves only. One that cannot be built, or does not run, is not offered.
    bool offers(const ConvolutionTask& task) override;
    size_t scratch_bytes(const ConvolutionTask& task) override;
    std::optional<double> seconds(const ConvolutionTask& task) override;
    PlanCache& times() override { return cache_; }
    void run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch,
             cudaStream_t stream) override;

private:
    ConvolutionProblem problem_of(const ConvolutionTask& task) const;
    const ConvolutionPlan& plan_of(const ConvolutionTask& task);
    ConvolutionPlan choose(const ConvolutionProblem& problem);

    ConvolutionSettings settings_;
    PlanTarget target_;
    PlanCache cache_;
    std::map<std::string, ConvolutionPlan> plans_; ///< by ConvolutionProblem::text
};

} // namespace scene::cuda
