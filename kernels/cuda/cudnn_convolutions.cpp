#include "kernels/cuda/cudnn_convolutions.h"

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/cuda/timing.h"
#include "kernels/cuda/trial_buffer.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr size_t most_candidates = 12; ///< that are measured; the heuristics seldom put the quickest behind them
constexpr int warm_ups = 2, repetitions = 5;

size_t bytes_of(const Shape& shape, DType type) { return static_cast<size_t>(shape.elements()) * size_of(type); }

/// A pass may use as much again as its activations have, and some more: engines that want another layout inside need
/// that, and those that want still more are never the quickest.
size_t most_workspace(const Conv2dShape& shape, DType type) {
    return bytes_of(shape.x(), type) + bytes_of(shape.y(), type) + bytes_of(shape.w(), type) + (size_t{64} << 20);
}

/// Microseconds of one run, the median.
double time_plan(const ConvolutionPlan& plan, const PlanTarget& target, void* x, void* w, void* y) {
    const TrialBuffer workspace(plan.workspace);
    std::array<double, repetitions> seconds{};
    for (int run = 0; run < warm_ups; ++run) execute(plan, target, x, w, y, workspace.get());
    for (double& time : seconds) {
        Event begin, end;
        begin.record(nullptr);
        execute(plan, target, x, w, y, workspace.get());
        end.record(nullptr);
        time = end.seconds_since(begin);
    }
    std::sort(seconds.begin(), seconds.end());
    return 1e6 * seconds[repetitions / 2];
}

std::string device_name() {
    int device = 0;
    cudaDeviceProp properties{};
    SCENE_CUDA(cudaGetDevice(&device));
    SCENE_CUDA(cudaGetDeviceProperties(&properties, device));
    return properties.name;
}

} // namespace

CudnnConvolutions::CudnnConvolutions(const ConvolutionSettings& settings, std::filesystem::path cache)
    : settings_(settings),
      cache_(cache.empty() ? PlanCache::file_for(device_name(), cudnn().version()) : std::move(cache)) {}

CudnnConvolutions::CudnnConvolutions(const ConvolutionSettings& settings, const std::string& device_properties)
    : settings_(settings), target_(device_properties), cache_(std::filesystem::path()) {}

std::string CudnnConvolutions::version() const { return "cuDNN " + cudnn().version(); }

size_t CudnnConvolutions::scratch_bytes(const Conv2dShape& shape, ConvPass pass) {
    return plan_of(shape, pass).workspace;
}

void CudnnConvolutions::run(const Conv2dShape& shape, ConvPass pass, void* x, void* w, void* y, void* scratch,
                            cudaStream_t stream) {
    const ConvolutionPlan& plan = plan_of(shape, pass);
    check_cudnn(cudnn().set_stream(target_.handle(), stream), "choosing a stream");
    execute(plan, target_, x, w, y, scratch);
}

const ConvolutionPlan& CudnnConvolutions::plan_of(const Conv2dShape& shape, ConvPass pass) {
    const ConvolutionProblem problem{shape,
                                     pass,
                                     settings_.type,
                                     settings_.tensor_cores,
                                     settings_.deterministic,
                                     most_workspace(shape, settings_.type)};
    const std::string key = problem.text();
    auto known = plans_.find(key);
    if (known == plans_.end()) known = plans_.emplace(key, choose(problem)).first;
    return known->second;
}

ConvolutionPlan CudnnConvolutions::choose(const ConvolutionProblem& problem) {
    const size_t most = target_.handle() ? most_candidates : 1;
    std::vector<ConvolutionPlan> candidates = convolution_plans(problem, target_, most);
    if (!target_.handle()) return std::move(candidates.front());
    if (const std::optional<std::string> engine = cache_.find(problem.text())) {
        for (ConvolutionPlan& candidate : candidates)
            if (candidate.engine == *engine) return std::move(candidate);
    }
    const TrialBuffer x(problem.shape.x(), problem.type), w(problem.shape.w(), problem.type);
    const TrialBuffer y(problem.shape.y(), problem.type);
    check_cudnn(cudnn().set_stream(target_.handle(), nullptr), "choosing a stream");
    std::optional<size_t> best;
    double best_time = 0;
    std::string failure;
    for (size_t i = 0; i < candidates.size(); ++i) {
        try {
            const double time = time_plan(candidates[i], target_, x.get(), w.get(), y.get());
            if (!best || time < best_time) best = i, best_time = time;
        } catch (const Error& error) { failure = error.what(); } // a plan that does not run is no candidate
    }
    if (!best) fail("no plan runs for {}; the last one: {}", problem.text(), failure);
    cache_.add(problem.text(), candidates[*best].engine, best_time);
    return std::move(candidates[*best]);
}

} // namespace scene::cuda
