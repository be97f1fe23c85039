#include "kernels/cuda/cudnn/convolutions.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/cuda/autotune/autotune_buffer.h"
#include "kernels/cuda/autotune/timing.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr size_t most_candidates = 12; ///< measured, assuming that the heuristics rank the quickest among the first

size_t bytes_of(const Shape& shape, DType type) { return static_cast<size_t>(shape.elements()) * size_of(type); }

/// The workspace limit: as much as x, y and w together, and 64 MiB. Engines that change the layout internally need
/// about that. Those that need more are assumed to be slower.
size_t most_workspace(const Conv2dShape& shape, DType type) {
    return bytes_of(shape.x(), type) + bytes_of(shape.y(), type) + bytes_of(shape.w(), type) + (size_t{64} << 20);
}

/// Random operands of a pass, to measure it with.
struct AutotuneOperands {
    AutotuneBuffer x, w, y;
    std::optional<AutotuneBuffer> norm_x;
    std::vector<std::unique_ptr<AutotuneBuffer>> per_channel;
    ConvolutionOperands operands;

    explicit AutotuneOperands(const ConvolutionProblem& problem)
        : x(problem.task.shape.x(), problem.type), w(problem.task.shape.w(), problem.type),
          y(problem.task.shape.y(), problem.type) {
        const auto& [shape, pass, fusion] = problem.task;
        operands = {.x = x.get(), .w = w.get(), .y = y.get()};
        if (fusion.normalize_input) {
            operands.scale = channels(shape.in_channels, problem.type);
            operands.shift = channels(shape.in_channels, problem.type);
        }
        if (fusion.bias_relu) operands.bias = channels(shape.out_channels, problem.type);
        if (fusion.statistics)
            for (float** sum : {&operands.sum, &operands.square_sum}) *sum = floats(shape.out_channels);
        if (!fusion.bn_reduce) return;
        operands.norm_x = norm_x.emplace(shape.x(), problem.type).get();
        for (float** operand : {&operands.mean, &operands.inv_std, &operands.gamma, &operands.beta, &operands.dgamma,
                                &operands.dbeta, &operands.unused[0], &operands.unused[1], &operands.unused[2]})
            *operand = floats(shape.in_channels);
    }

private:
    void* channels(int64_t count, DType type) {
        return per_channel.emplace_back(std::make_unique<AutotuneBuffer>(Shape{count}, type))->get();
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

bool CudnnConvolutions::offers(const ConvolutionTask& task) const {
    if (!task.fusion.any() || task.fusion.bias_relu) return true;
    return settings_.type == DType::F16 && task.shape.in_channels % 8 == 0 && task.shape.out_channels % 8 == 0;
}

size_t CudnnConvolutions::scratch_bytes(const ConvolutionTask& task) const { return chosen(task).plan->workspace; }

std::optional<double> CudnnConvolutions::seconds(const ConvolutionTask& task) const {
    if (!target_.handle()) return std::nullopt;
    return chosen(task).seconds;
}

std::vector<ConvolutionChoice> CudnnConvolutions::choices() const {
    std::vector<ConvolutionChoice> out;
    for (const Chosen& one : chosen_)
        out.push_back({one.task, one.text, one.plan ? one.plan->engine : "", one.seconds.value_or(0), one.failures});
    return out;
}

void CudnnConvolutions::run(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch,
                            cudaStream_t stream) {
    const ConvolutionPlan& plan = *chosen(task).plan;
    check_cudnn(cudnn().set_stream(target_.handle(), stream), "choosing a stream");
    execute(plan, target_, operands, scratch);
}

ConvolutionProblem CudnnConvolutions::problem_of(const ConvolutionTask& task) const {
    return {task,
            settings_.type,
            settings_.tensor_cores,
            settings_.deterministic,
            most_workspace(task.shape, settings_.type),
            settings_.run_time_compiled};
}

const CudnnConvolutions::Chosen* CudnnConvolutions::find(const ConvolutionTask& task) const {
    const auto known =
        std::find_if(chosen_.begin(), chosen_.end(), [&](const Chosen& one) { return one.task == task; });
    return known == chosen_.end() ? nullptr : &*known;
}

const CudnnConvolutions::Chosen& CudnnConvolutions::chosen(const ConvolutionTask& task) const {
    const Chosen* known = find(task);
    SCENE_CHECK(known, problem_of(task).text() + ": no engine was chosen");
    if (!known->plan) fail("{}", known->failures);
    return *known;
}

void CudnnConvolutions::choose(const ConvolutionTask& task) {
    if (find(task)) return;
    const ConvolutionProblem problem = problem_of(task);
    Chosen made{task, problem.text(), {}, {}, {}};
    try {
        make_plan(made, problem);
    } catch (const BrokenDevice&) { throw; } catch (const Error& error) {
        made.failures = error.what();
    }
    chosen_.push_back(std::move(made));
}

void CudnnConvolutions::make_plan(Chosen& out, const ConvolutionProblem& problem) {
    if (problem.task.shape.full_batch > 0) {
        ConvolutionTask full = problem.task;
        full.shape = full.shape.of_full_batch();
        choose(full);
        out.plan = convolution_plan(problem, target_, chosen(full).plan->engine);
        if (out.plan) return;
    } else if (target_.handle()) {
        return measure(out, problem);
    }
    out.plan = std::move(convolution_plans(problem, target_, 1).front());
}

void CudnnConvolutions::measure(Chosen& out, const ConvolutionProblem& problem) {
    if (const std::optional<PlanCache::Entry> known = cache_.find(problem.text())) {
        out.plan = convolution_plan(problem, target_, known->choice);
        out.seconds = 1e-6 * known->microseconds;
        if (out.plan) return;
    }
    std::vector<ConvolutionPlan> candidates = convolution_plans(problem, target_, most_candidates);
    const AutotuneOperands operands(problem);
    check_cudnn(cudnn().set_stream(target_.handle(), nullptr), "choosing a stream");
    std::optional<AutotuneBuffer> workspace; // as large as the last candidate needed it
    std::vector<Trial> trials;
    for (const ConvolutionPlan& plan : candidates)
        trials.push_back({plan.engine, [&, &plan = plan] {
                              if (!workspace || workspace->bytes() != plan.workspace) {
                                  workspace.reset();
                                  workspace.emplace(plan.workspace);
                              }
                              return seconds_of(nullptr,
                                                [&] { execute(plan, target_, operands.operands, workspace->get()); });
                          }});
    try {
        const Quickest quickest = quickest_of(trials, device_is_broken);
        // Rounded as the file has it, so that the next process decides on the same numbers.
        cache_.add(problem.text(), trials[quickest.index].name, 1e6 * quickest.seconds);
        out.seconds = 1e-6 * cache_.find(problem.text())->microseconds;
        out.plan = std::move(candidates[quickest.index]);
        out.failures = quickest.failures;
    } catch (const BrokenDevice& error) {
        throw BrokenDevice(fmt::format("{}: {}", problem.text(), error.what()));
    } catch (const Error& error) { fail("no plan runs for {}: {}", problem.text(), error.what()); }
}

} // namespace scene::cuda
