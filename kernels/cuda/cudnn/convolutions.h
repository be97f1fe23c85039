#pragma once

#include <deque>

#include "kernels/cuda/autotune/budget.h"
#include "kernels/cuda/autotune/plan_cache.h"
#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/cudnn/plans.h"

namespace scene::cuda {

struct ConvolutionSettings {
    DType type = DType::F32;
    bool tensor_cores = true;       ///< F32: TF32 products
    bool deterministic = true;      ///< leave out nondeterministic engines
    bool run_time_compiled = false; ///< also measure engines that cuDNN compiles for the problem: seconds each
    double budget_seconds = 0;      ///< for building and measuring, a step; 0: no limit
};

/// Bytes of workspace that an engine may need: as much as x, y and w together, and 64 MiB. Engines that change the
/// layout internally need about that. Those that need more are assumed to be slower.
size_t most_workspace(const Conv2dShape& shape, DType type);

/// Convolutions by cuDNN. On a device, a task's plan is the quickest of the heuristics' candidates, measured once and
/// kept in the cache; without a device, or when the budget is spent, it is the heuristics' first. A partial batch is
/// not measured: it takes the full batch's engine, or the heuristics' first if that engine does not support it.
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
    bool improves() const override { return settings_.run_time_compiled && target_.handle(); }
    void improve(const ConvolutionTask& task) override;
    void begin_step() override { budget_.begin_step(); }
    double budget_seconds() const override { return budget_.seconds(); }
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
        int left_out = 0;
    };
    ConvolutionProblem problem_of(const ConvolutionTask& task) const;
    const Chosen* find(const ConvolutionTask& task) const;
    /// Throws std::logic_error for a task that was not chosen, Error if no plan runs.
    const Chosen& chosen(const ConvolutionTask& task) const;
    void make_plan(Chosen& out, const ConvolutionProblem& problem);
    /// Takes the quickest engine of the problem; of those compiled at run time and out.plan, if there is a plan.
    void measure(Chosen& out, const ConvolutionProblem& problem);

    ConvolutionSettings settings_;
    PlanTarget target_;
    PlanCache cache_;
    AutotuneBudget budget_;
    std::deque<Chosen> chosen_; // a deque, so that references stay valid
};

} // namespace scene::cuda
