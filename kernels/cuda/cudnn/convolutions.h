#pragma once

#include <deque>

#include "kernels/cuda/autotune/plan_cache.h"
#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/cudnn/plans.h"

namespace scene::cuda {

struct ConvolutionSettings {
    DType type = DType::F32;
    bool tensor_cores = true;       ///< F32: TF32 products
    bool deterministic = true;      ///< leave out engines that add in an order of their own
    bool run_time_compiled = false; ///< measure engines, too, that cuDNN compiles for the problem: seconds each
};

/// cuDNN's convolutions. The plan of a task is on a device the quickest of the heuristics' candidates, measured once
/// and remembered in the cache; without one the heuristics' first. A batch that is not full is not measured: it takes
/// the full one's engine, or the heuristics' first where that does not suit.
class CudnnConvolutions final : public Convolutions {
public:
    CudnnConvolutions(const ConvolutionSettings& settings, std::filesystem::path cache);
    /// For a device that need not be there; `run` must not be called.
    CudnnConvolutions(const ConvolutionSettings& settings, const std::string& device_properties);

    std::string version() const override;
    /// Fused engines are for halves, and for channels that come in eights.
    bool offers(const ConvolutionTask& task) const override;
    void choose(const ConvolutionTask& task) override;
    size_t scratch_bytes(const ConvolutionTask& task) const override;
    std::optional<double> seconds(const ConvolutionTask& task) const override;
    std::vector<ConvolutionChoice> choices() const override;
    PlanCache& times() override { return cache_; }
    void run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch,
             cudaStream_t stream) override;

private:
    struct Chosen {
        ConvolutionTask task;
        std::string text;                    ///< of the problem
        std::optional<ConvolutionPlan> plan; ///< none: `failures` says why
        std::optional<double> seconds;
        std::string failures;
    };
    ConvolutionProblem problem_of(const ConvolutionTask& task) const;
    const Chosen* find(const ConvolutionTask& task) const;
    /// Throws Error where there is no plan.
    const Chosen& chosen(const ConvolutionTask& task) const;
    void make_plan(Chosen& out, const ConvolutionProblem& problem);
    void measure(Chosen& out, const ConvolutionProblem& problem);

    ConvolutionSettings settings_;
    PlanTarget target_;
    PlanCache cache_;
    std::deque<Chosen> chosen_; // its references stay valid
};

} // namespace scene::cuda
