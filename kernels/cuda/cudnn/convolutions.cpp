#include "kernels/cuda/cudnn/convolutions.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/cuda/autotune/autotune_buffer.h"
#include "kernels/cuda/autotune/engine_search.h"
#include "kernels/cuda/autotune/timing.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr size_t most_candidates = 12; ///< measured, assuming that the heuristics rank the quickest among the first
// Seconds to build a plan: of processor time, cuDNN 9.19 took 0.4 to 3.2 for one that it compiles (docs/cuda.md).
constexpr double seconds_precompiled = 0.01, seconds_run_time_compiled = 1.5;

size_t bytes_of(const Shape& shape, DType type) { return static_cast<size_t>(shape.elements()) * size_of(type); }

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

size_t most_workspace(const Conv2dShape& shape, DType type) {
    return bytes_of(shape.x(), type) + bytes_of(shape.y(), type) + bytes_of(shape.w(), type) + (size_t{64} << 20);
}

CudnnConvolutions::CudnnConvolutions(const ConvolutionSettings& settings, std::filesystem::path cache)
    : settings_(settings),
      cache_(cache.empty() ? PlanCache::file_for(device_name(), cudnn().version()) : std::move(cache)),
      budget_(settings.budget_seconds) {}

CudnnConvolutions::CudnnConvolutions(const ConvolutionSettings& settings, const std::string& device_properties)
    : settings_(settings), target_(device_properties), cache_(std::filesystem::path()),
      budget_(settings.budget_seconds) {}

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
        out.push_back({one.task, one.text, one.plan ? one.plan->engine : "", one.seconds.value_or(0), one.failures,
                       one.left_out});
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
    Chosen made{task, problem.text(), {}, {}, {}, 0};
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
        ConvolutionProblem precompiled = problem;
        precompiled.run_time_compiled = false;
        return measure(out, precompiled);
    }
    out.plan = std::move(convolution_plans(problem, target_, 1).front());
}

void CudnnConvolutions::improve(const ConvolutionTask& task) {
    if (!improves() || task.shape.full_batch > 0) return;
    const auto known =
        std::find_if(chosen_.begin(), chosen_.end(), [&](const Chosen& one) { return one.task == task; });
    SCENE_CHECK(known != chosen_.end(), problem_of(task).text() + ": no engine was chosen");
    try {
        measure(*known, problem_of(task));
    } catch (const BrokenDevice&) { throw; } catch (const Error& error) {
        known->failures = error.what();
    }
}

void CudnnConvolutions::measure(Chosen& out, const ConvolutionProblem& problem) {
    const bool improving = out.plan.has_value();
    EngineSearch engines(cache_, budget_, device_is_broken);
    const auto take = [&](ConvolutionPlan plan, const PlanCache::Entry& entry) {
        out.plan = std::move(plan);
        out.seconds = entry.microseconds > 0 ? std::optional(1e-6 * entry.microseconds) : std::nullopt;
        out.left_out += entry.left_out;
    };
    if (const std::optional<PlanCache::Entry> known = engines.known(problem.text())) {
        auto plan = improving && out.plan->engine == known->choice ? std::move(out.plan)
                                                                   : convolution_plan(problem, target_, known->choice);
        if (plan) return take(std::move(*plan), *known);
    }
    const auto graph = std::make_shared<const ConvolutionGraph>(problem, target_);
    std::deque<std::optional<ConvolutionPlan>> plans; // of the candidates
    std::optional<AutotuneOperands> operands;
    std::optional<AutotuneBuffer> workspace; // as large as the last candidate needed it
    const auto seconds_by = [&](const ConvolutionPlan& plan) {
        if (!operands) operands.emplace(problem);
        if (!workspace || workspace->bytes() != plan.workspace) {
            workspace.reset();
            workspace.emplace(plan.workspace);
        }
        return seconds_of(nullptr, [&] { execute(plan, target_, operands->operands, workspace->get()); });
    };
    std::vector<Candidate> candidates;
    const auto add = [&](const std::string& name, double build_seconds,
                         std::function<std::optional<ConvolutionPlan>()> build) {
        std::optional<ConvolutionPlan>& plan = plans.emplace_back();
        candidates.push_back({name,
                              [&plan, build = std::move(build)] {
                                  plan = build();
                                  return plan.has_value();
                              },
                              [&plan, &seconds_by] { return seconds_by(*plan); }, build_seconds});
    };
    if (improving) add(out.plan->engine, 0, [&] { return std::move(out.plan); });
    std::vector<EngineConfiguration> configurations = engine_configurations(problem, *graph, target_);
    for (EngineConfiguration& one : configurations) {
        if (!one.unsuitable.empty() || (improving && !one.run_time_compiled)) continue;
        add(one.name, one.run_time_compiled ? seconds_run_time_compiled : seconds_precompiled,
            [&] { return build_plan(problem, target_, graph, std::move(one)).plan; });
    }
    if (improving && candidates.size() == 1) return; // cuDNN compiles none for it
    check_cudnn(cudnn().set_stream(target_.handle(), nullptr), "choosing a stream");
    try {
        const auto found = engines.search(problem.text(), candidates, most_candidates + (improving ? 1 : 0));
        if (!found) {
            (void)convolution_plans(problem, target_, 1); // throws, and says why there is none
            fail("no plan for {}", problem.text());
        }
        take(std::move(*plans[found->index]), found->entry);
        if (!found->failures.empty()) out.failures = found->failures;
    } catch (const BrokenDevice& error) {
        throw BrokenDevice(fmt::format("{}: {}", problem.text(), error.what()));
    } catch (const Error& error) {
        if (improving && plans.front()) out.plan = std::move(plans.front());
        fail("no plan runs for {}: {}", problem.text(), error.what());
    }
}

} // namespace scene::cuda
