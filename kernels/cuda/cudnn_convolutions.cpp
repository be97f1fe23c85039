#include "kernels/cuda/cudnn_convolutions.h"

#include <memory>
#include <vector>

#include "kernels/cuda/timing.h"
#include "kernels/cuda/trial_buffer.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr size_t most_candidates = 12; ///< that are measured; the heuristics seldom put the quickest behind them

size_t bytes_of(const Shape& shape, DType type) { return static_cast<size_t>(shape.elements()) * size_of(type); }

/// A pass may use as much again as its activations have, and some more: engines that want another layout inside need
/// that, and those that want still more are never the quickest.
size_t most_workspace(const Conv2dShape& shape, DType type) {
    return bytes_of(shape.x(), type) + bytes_of(shape.y(), type) + bytes_of(shape.w(), type) + (size_t{64} << 20);
}

/// Random operands of a pass.
struct TrialOperands {
    TrialBuffer x, w, y;
    std::optional<TrialBuffer> norm_x;
    std::vector<std::unique_ptr<TrialBuffer>> per_channel;
    ConvolutionOperands operands;

    explicit TrialOperands(const ConvolutionProblem& problem)
        : x(problem.task.shape.x(), problem.type), w(problem.task.shape.w(), problem.type),
          y(problem.task.shape.y(), problem.type) {
        const auto& [shape, pass, fusion] = problem.task;
        operands = {.x = x.get(), .w = w.get(), .y = y.get()};
        if (fusion.normalize_input) {
            operands.scale = channels(shape.in_channels, problem.type);
            operands.shift = channels(shape.in_channels, problem.type);
        }
        if (fusion.statistics)
            for (float** sum : {&operands.sum, &operands.square_sum}) *sum = floats(shape.out_channels);
        if (!fusion.norm_gradient) return;
        operands.norm_x = norm_x.emplace(shape.x(), problem.type).get();
        for (float** operand : {&operands.mean, &operands.inv_std, &operands.gamma, &operands.beta, &operands.dgamma,
                                &operands.dbeta, &operands.unused[0], &operands.unused[1], &operands.unused[2]})
            *operand = floats(shape.in_channels);
    }

private:
    void* channels(int64_t count, DType type) {
        return per_channel.emplace_back(std::make_unique<TrialBuffer>(Shape{count}, type))->get();
    }
    float* floats(int64_t count) { return static_cast<float*>(channels(count, DType::F32)); }
};

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

bool CudnnConvolutions::offers(const ConvolutionTask& task) {
    if (!task.fusion.any()) return true;
    if (settings_.type != DType::F16) return false;
    try {
        plan_of(task);
        return true;
    } catch (const Error&) { return false; }
}

size_t CudnnConvolutions::scratch_bytes(const ConvolutionTask& task) { return plan_of(task).workspace; }

std::optional<double> CudnnConvolutions::seconds(const ConvolutionTask& task) {
    if (!target_.handle()) return std::nullopt;
    plan_of(task);
    return 1e-6 * cache_.find(problem_of(task).text()).value().microseconds;
}

void CudnnConvolutions::run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch,
                            cudaStream_t stream) {
    const ConvolutionPlan& plan = plan_of(task);
    check_cudnn(cudnn().set_stream(target_.handle(), stream), "choosing a stream");
    execute(plan, target_, operands, scratch);
}

ConvolutionProblem CudnnConvolutions::problem_of(const ConvolutionTask& task) const {
    return {task, settings_.type, settings_.tensor_cores, settings_.deterministic,
            most_workspace(task.shape, settings_.type)};
}

const ConvolutionPlan& CudnnConvolutions::plan_of(const ConvolutionTask& task) {
    const ConvolutionProblem problem = problem_of(task);
    const std::string key = problem.text();
    auto known = plans_.find(key);
    if (known == plans_.end()) known = plans_.emplace(key, choose(problem)).first;
    return known->second;
}

ConvolutionPlan CudnnConvolutions::choose(const ConvolutionProblem& problem) {
    if (!target_.handle()) return std::move(convolution_plans(problem, target_, 1).front());
    if (const std::optional<PlanCache::Entry> known = cache_.find(problem.text()))
        if (std::optional<ConvolutionPlan> plan = convolution_plan(problem, target_, known->choice))
            return std::move(*plan);
    std::vector<ConvolutionPlan> candidates = convolution_plans(problem, target_, most_candidates);
    const TrialOperands trial(problem);
    check_cudnn(cudnn().set_stream(target_.handle(), nullptr), "choosing a stream");
    std::optional<size_t> best;
    double best_time = 0;
    std::string failure;
    for (size_t i = 0; i < candidates.size(); ++i) {
        try {
            const TrialBuffer workspace(candidates[i].workspace);
            const double time =
                median_seconds(nullptr, [&] { execute(candidates[i], target_, trial.operands, workspace.get()); });
            if (!best || time < best_time) best = i, best_time = time;
        } catch (const Error& error) { failure = error.what(); } // a plan that does not run is no candidate
    }
    if (!best) fail("no plan runs for {}; the last one: {}", problem.text(), failure);
    cache_.add(problem.text(), candidates[*best].engine, 1e6 * best_time);
    return std::move(candidates[*best]);
}

} // namespace scene::cuda
