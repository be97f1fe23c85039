#pragma once

#include <deque>

#include "kernels/cuda/autotune/plan_cache.h"
#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/cudnn/plans.h"

namespace scene::cuda {

struct ConvolutionSettings {
    DType type = DType::F32;
    bool tensor_cores = true;       ///< F32: TF32 products
    bool deterministic = true;      ///< leave out nondeterministic engines
    bool run_time_compiled = false; ///< also measure engines that cuDNN compiles for the problem: seconds each
};

/// Convolutions by cuDNN. On a device, a task's plan is the quickest of the heuristics' candidates, measured once and
/// kept in the cache; without a device it is the heuristics' first. A partial batch is not measured: it takes the full
/// batch's engine, or the heuristics' first if that engine does not support it.
class CudnnConvolutions final : public Convolutions {
public:
    /// For the current device. `cache`: empty for PlanCache::file_for the device.
    CudnnConvolutions(const ConvolutionSettings& settings, std::filesystem::path cache);
    /// For a device that need not be present, from its properties (device_profile). `run` must not be called.
    CudnnConvolutions(const ConvolutionSettings& settings, const std::string& device_properties);

    std::string version() const override;
    /// cuDNN's engines for the fusions of training are for F16 and for channels in multiples of 8; those
    /// for bias and relu for all.
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
        std::optional<ConvolutionPlan> plan; ///< absent: `failures` says why
        std::optional<double> seconds;
        std::string failures;
    };
    ConvolutionProblem problem_of(const ConvolutionTask& task) const;
    const Chosen* find(const ConvolutionTask& task) const;
    /// Throws std::logic_error for a task that was not chosen, Error if no plan runs.
    const Chosen& chosen(const ConvolutionTask& task) const;
    void make_plan(Chosen& out, const ConvolutionProblem& problem);
    void measure(Chosen& out, const ConvolutionProblem& problem);

    ConvolutionSettings settings_;
    PlanTarget target_;
    PlanCache cache_;
    std::deque<Chosen> chosen_; // a deque, so that references stay valid
};

} // namespace scene::cuda
