#include "tests/counters/model/step_report.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "kernels/files/json.h"
#include "tests/counters/counter_names.h"

namespace scene::counters {
namespace {

constexpr std::array groups = {
    "convolutions (cuDNN)",
    "matrix products (cuBLASLt)",
    "batch norm, backward",
    "batch norm, forward",
    "batch norm, statistics",
    "first convolution, forward",
    "first convolution, backward",
    "squeeze and excite",
    "log-mel",
    "optimiser",
    "everything else",
};
enum Group : uint8_t {
    Convolutions,
    Products,
    NormBackward,
    NormForward,
    NormStatistics,
    StemForward,
    StemBackward,
    SqueezeExcite,
    FrontEnd,
    Optimiser,
    Else
};

constexpr size_t rows_of_kernels = 24;

bool begins(const std::string& text, std::string_view with) { return text.starts_with(with); }

Group group_of(const KernelCounters& kernel) {
    if (begins(kernel.kind, "batch_norm_backward")) return NormBackward;
    if (begins(kernel.kind, "batch_norm_forward")) return NormForward;
    if (begins(kernel.kind, "batch_norm_")) return NormStatistics;
    if (begins(kernel.kind, "conv2d_bn_statistics") || begins(kernel.kind, "fold_conv_weights")) return NormStatistics;
    if (begins(kernel.kind, "conv2d_forward")) return StemForward;
    if (begins(kernel.kind, "conv2d_bn_relu_backward") || begins(kernel.kind, "conv2d_weight_grad"))
        return StemBackward;
    if (begins(kernel.kind, "se_")) return SqueezeExcite;
    if (begins(kernel.kind, "log_mel")) return FrontEnd;
    if (kernel.kind == "adam" || kernel.kind == "weight_decay" || kernel.kind == "adjust_loss_scale" ||
        kernel.kind == "advance")
        return Optimiser;
    return Else;
}

std::string microseconds(const std::optional<double>& seconds) {
    return seconds ? fmt::format("{:.1f}", 1e6 * *seconds) : "";
}

} // namespace

StepPlan plan_of(const Program& program) {
    StepPlan plan;
    plan.library = library_work(program);
    std::set<std::string> in_library;
    for (const LibraryWork& work : plan.library)
        if (begins(work.kind, "conv2d")) in_library.insert(work.op);
    for (const Op& op : program.ops) {
        if (op.phase == Phase::Setup)
            plan.setup.insert(op.name);
        else if (!in_library.contains(op.name))
            plan.other_bytes += op.bytes;
    }
    return plan;
}

double StepReport::kernel_seconds() const {
    double sum = 0;
    for (const KernelReport& kernel : kernels) sum += kernel.time.seconds;
    return sum;
}

double StepReport::library_seconds() const {
    double sum = 0;
    for (const LibraryWork& work : plan.library) sum += predicted_seconds(work, gpu);
    return sum;
}

double StepReport::floor_seconds() const {
    double seconds = plan.other_bytes / gpu.dram_bytes_per_s;
    for (const LibraryWork& work : plan.library)
        if (begins(work.kind, "conv2d")) seconds += work.flops / gpu.half_flops_per_s * (work.halves ? 1 : 2);
    return seconds;
}

std::vector<std::string> sources_of(const KernelCounters& kernel) {
    std::set<std::string> files;
    for (const LineCounts& line : kernel.lines)
        for (const Frame& frame : line.frames) files.insert(frame.file);
    return {files.begin(), files.end()};
}

StepReport report_of(const StepCounters& counters, const StepPlan& plan, const GpuProperties& gpu,
                     const ResourceTable& resources, const InstructionCounter& instructions) {
    StepReport report;
    report.counters.program = counters.program;
    report.counters.precision = counters.precision;
    report.counters.batch = counters.batch;
    report.gpu = gpu;
    report.plan = plan;
    for (const KernelCounters& kernel : counters.kernels) {
        if (plan.setup.contains(kernel.op)) continue;
        KernelReport entry{.counters = kernel, .resources = {}, .instructions = {}, .time = {}};
        entry.resources = resources.find(kernel.symbol, gpu.architecture(), sources_of(kernel));
        if (instructions) entry.instructions = instructions(kernel);
        entry.time = predict(kernel, gpu, entry.resources, entry.instructions);
        report.kernels.push_back(std::move(entry));
    }
    return report;
}

std::vector<GroupTime> groups_of(const StepReport& report) {
    std::vector<GroupTime> times;
    for (const char* name : groups) times.push_back({name});
    const auto add = [&](Group group, double seconds) {
        ++times[group].kernels;
        times[group].seconds += seconds;
    };
    std::set<std::string> by_library; // kernels of these ops are what is left to do: casts, bias and relu
    for (const LibraryWork& work : report.plan.library) {
        add(begins(work.kind, "conv2d") ? Convolutions : Products, predicted_seconds(work, report.gpu));
        by_library.insert(work.op);
    }
    for (const KernelReport& kernel : report.kernels)
        add(by_library.contains(kernel.counters.op) ? Else : group_of(kernel.counters), kernel.time.seconds);
    return times;
}

std::string short_name(const std::string& kernel) {
    std::string name = kernel;
    for (const std::string_view space : {"(anonymous namespace)::", "scene::cuda::", "scene::", "emulator::"})
        for (size_t at = 0; (at = name.find(space, at)) != std::string::npos;) name.erase(at, space.size());
    int depth = 0;
    size_t begin = 0, end = name.size();
    for (size_t at = 0; at < name.size(); ++at) {
        if (name[at] == '<') ++depth;
        if (name[at] == '>') --depth;
        if (depth != 0) continue;
        if (name[at] == ' ') begin = at + 1;
        if (name[at] == '(') {
            end = at;
            break;
        }
    }
    return name.substr(begin, end - begin);
}

std::string table_text(const StepReport& report) {
    std::string text = fmt::format("{}, {}, batch {}: PREDICTED times in us for {}; nothing here was measured\n{:<38} "
                                   "{:<34} {:>9} {:<8} {:>8} {:>8} "
                                   "{:>8} {:>8} {:>8} {:>5} {:>5} {:>6}\n",
                                   report.counters.program, report.counters.precision, report.counters.batch,
                                   report.gpu.name, "op", "kernel", "predicted", "bound", "memory", "L2", "L1", "issue",
                                   "latency", "occ %", "regs", "spills");
    for (const KernelReport& kernel : report.kernels) {
        const PredictedTime& time = kernel.time;
        text += fmt::format("{:<38} {:<34.34} {:>9.1f} {:<8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>5} {:>5} {:>6}\n",
                            kernel.counters.op, short_name(kernel.counters.kernel), 1e6 * time.seconds,
                            name_of(time.bound), microseconds(time.memory), microseconds(time.l2),
                            microseconds(time.l1), microseconds(time.issue), microseconds(time.latency),
                            time.occupancy ? fmt::format("{:.0f}", 100 * time.occupancy->share) : "",
                            kernel.resources ? std::to_string(kernel.resources->registers) : "",
                            kernel.resources ? std::to_string(kernel.resources->spill_store_bytes) : "");
    }
    const bool no_resources = std::none_of(report.kernels.begin(), report.kernels.end(),
                                           [](const KernelReport& kernel) { return kernel.resources.has_value(); });
    const bool no_code = std::none_of(report.kernels.begin(), report.kernels.end(),
                                      [](const KernelReport& kernel) { return kernel.instructions.has_value(); });
    if (no_resources)
        text += "registers, spills, occupancy and latency are empty: nvcc compiled no kernels here for this GPU\n";
    if (no_code) text += "issue is empty: there is no nvdisasm (NVDISASM=...) or no nvcc\n";
    for (const GroupTime& group : groups_of(report))
        text += fmt::format("{:<38} {:>4} kernels, predicted {:9.3f} ms\n", group.group, group.kernels,
                            1e3 * group.seconds);
    text += fmt::format(
        "the step, predicted: {:.2f} ms, {:.0f} clips/s; as planned at the rates of the device, the least: {:.2f} ms\n",
        1e3 * report.seconds(), static_cast<double>(report.counters.batch) / report.seconds(),
        1e3 * report.floor_seconds());
    return text;
}

std::vector<KernelTime> longest_kernels(const StepReport& report) {
    std::vector<KernelTime> times;
    for (const KernelReport& kernel : report.kernels) {
        const std::string name = short_name(kernel.counters.kernel);
        auto at = std::find_if(times.begin(), times.end(), [&](const KernelTime& time) {
            return time.kind == kernel.counters.kind && time.kernel == name;
        });
        if (at == times.end()) at = times.insert(times.end(), {kernel.counters.kind, name, 0, 0, &kernel});
        ++at->launches;
        at->seconds += kernel.time.seconds;
        if (kernel.time.seconds > at->longest->time.seconds) at->longest = &kernel;
    }
    std::stable_sort(times.begin(), times.end(),
                     [](const KernelTime& a, const KernelTime& b) { return a.seconds > b.seconds; });
    return times;
}

std::string markdown(const StepReport& report) {
    const std::string step = fmt::format("{}, {}", report.counters.program, report.counters.precision);
    std::string text =
        fmt::format("| {}: part | kernels | predicted, ms | measured, ms |\n|---|---:|---:|---:|\n", step);
    for (const GroupTime& group : groups_of(report))
        if (group.kernels > 0)
            text += fmt::format("| {} | {} | {:.2f} | |\n", group.group, group.kernels, 1e3 * group.seconds);
    text += fmt::format("| **the step** | | **{:.2f}** | |\n| the least possible, as planned | | {:.2f} | |\n\n",
                        1e3 * report.seconds(), 1e3 * report.floor_seconds());
    text += fmt::format(
        "| {}: kernel | of the op | launches | predicted, us | bound | registers | occupancy | measured, us "
        "|\n|---|---|---:|---:|---|---:|---:|---:|\n",
        step);
    std::vector<KernelTime> kernels = longest_kernels(report);
    kernels.resize(std::min(kernels.size(), rows_of_kernels));
    for (const KernelTime& kernel : kernels) {
        const KernelReport& longest = *kernel.longest;
        text += fmt::format("| `{}` | {} | {} | {:.1f} | {} | {} | {} | |\n", kernel.kernel, kernel.kind,
                            kernel.launches, 1e6 * kernel.seconds, name_of(longest.time.bound),
                            longest.resources ? std::to_string(longest.resources->registers) : "",
                            longest.time.occupancy ? fmt::format("{:.0f} %", 100 * longest.time.occupancy->share) : "");
    }
    return text;
}

std::string json_of(const StepReport& report) {
    using Json = nlohmann::ordered_json;
    const auto optional = [](const std::optional<double>& seconds) {
        return seconds ? Json(1e6 * *seconds) : Json(nullptr);
    };
    Json all = {{"note", "predicted by a model from the emulator's counters; nothing was measured on a GPU"},
                {"program", report.counters.program},
                {"precision", report.counters.precision},
                {"batch", report.counters.batch},
                {"gpu", report.gpu.name},
                {"predicted_step_us", 1e6 * report.seconds()},
                {"predicted_kernels_us", 1e6 * report.kernel_seconds()},
                {"predicted_library_us", 1e6 * report.library_seconds()},
                {"least_as_planned_us", 1e6 * report.floor_seconds()}};
    Json& parts = all["groups"] = Json::array();
    for (const GroupTime& group : groups_of(report))
        parts.push_back({{"group", group.group}, {"kernels", group.kernels}, {"predicted_us", 1e6 * group.seconds}});
    Json& kernels = all["kernels"] = Json::array();
    for (const KernelReport& kernel : report.kernels) {
        const KernelCounters& counters = kernel.counters;
        const PredictedTime& time = kernel.time;
        Json entry = {{"op", counters.op},
                      {"kind", counters.kind},
                      {"kernel", counters.kernel},
                      {"predicted_us", 1e6 * time.seconds},
                      {"predicted_bound", name_of(time.bound)},
                      {"predicted_memory_us", 1e6 * time.memory},
                      {"predicted_l2_us", 1e6 * time.l2},
                      {"predicted_l1_us", 1e6 * time.l1},
                      {"predicted_issue_us", optional(time.issue)},
                      {"predicted_latency_us", optional(time.latency)},
                      {"sectors", global_access(counters.access).sectors},
                      {"wavefronts", shared_access(counters.access).wavefronts}};
        if (kernel.resources) {
            entry["registers"] = kernel.resources->registers;
            entry["stack_bytes"] = kernel.resources->stack_bytes;
            entry["spill_store_bytes"] = kernel.resources->spill_store_bytes;
            entry["spill_load_bytes"] = kernel.resources->spill_load_bytes;
            entry["static_shared_bytes"] = kernel.resources->static_shared_bytes;
        }
        if (time.occupancy) {
            entry["occupancy"] = time.occupancy->share;
            entry["blocks_per_multiprocessor"] = time.occupancy->blocks;
            entry["occupancy_limit"] = name_of(time.occupancy->limit);
        }
        if (kernel.instructions) {
            entry["predicted_warp_instructions"] = kernel.instructions->warp_instructions;
            entry["predicted_instructions_anchored"] = kernel.instructions->anchored;
            entry["loads_in_flight"] = kernel.instructions->loads_in_flight;
        }
        kernels.push_back(std::move(entry));
    }
    Json& library = all["library"] = Json::array();
    for (const LibraryWork& work : report.plan.library)
        library.push_back({{"op", work.op},
                           {"kind", work.kind},
                           {"flops", work.flops},
                           {"predicted_tile_fill", work.columns > 0 ? tile_fill(work.columns, work.inner) : 1},
                           {"predicted_us", 1e6 * predicted_seconds(work, report.gpu)}});
    return json_text(all) + "\n";
}

} // namespace scene::counters
