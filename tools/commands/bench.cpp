// scene bench: time and memory of steps and ops, beside the device's roofline.

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <unistd.h>

#include <fnmatch.h>

#include "kernels/files/atomic_file.h"
#include "kernels/files/json.h"
#include "kernels/median.h"
#include "tools/bench/measurement.h"
#include "tools/bench/trace.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/standard_streams.h"
#include "tools/cli/text_table.h"
#include "tools/commands/command.h"
#include "tools/commands/convolution_report.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
    CommonOptions common;
    std::string filter = "*", op, trace, graph_map;
    int64_t repetitions = 7;
    bool ops = false, serve = false, in_process = false, deterministic = true;
    std::string fusions = "quickest", autotune = "precompiled";
    int64_t autotune_seconds = -1;

    int threads() const {
        const int64_t given = common.runtime().threads;
        return static_cast<int>(given > 0 ? given : sysconf(_SC_NPROCESSORS_ONLN));
    }
    uint64_t seed() const { return common.seed.value_or(1234); }

    /// Fails if the device of the flags cannot be used. Unless `in_process`, this process does not touch a GPU, since
    /// each measurement opens it in a child.
    MeasurementSettings measurement() const {
        RuntimeSettings runtime = common.runtime();
        runtime.deterministic = deterministic;
        runtime.fusions = value_named(fusion_choices, fusions);
        runtime.autotune = value_named(autotune_choices, autotune);
        runtime.autotune_seconds = autotune_seconds;
        MeasurementSettings settings{.cuda = {},
                                     .threads = threads(),
                                     .repetitions = static_cast<int>(repetitions),
                                     .ops = ops || !op.empty() || !trace.empty(),
                                     .seed = seed(),
                                     .in_process = in_process,
                                     .op = op,
                                     .graph = !graph_map.empty()};
        if (runtime.device != DeviceChoice::Cpu &&
            (in_process ? cuda_unavailable_reason() : cuda_unavailable_reason_in_child()).empty()) {
            settings.cuda = cuda_settings(runtime);
        } else {
            open_device(runtime, common.quiet);
        }
        return settings;
    }
};

std::vector<std::string> matching(const std::string& pattern, bool gpu) {
    std::vector<std::string> names;
    for (const std::string& name : benchmark_names(gpu))
        if (fnmatch(pattern.c_str(), name.c_str(), 0) == 0) names.push_back(name);
    if (names.empty() && is_benchmark(pattern)) names.push_back(pattern);
    if (names.empty())
        fail("--filter {}: no benchmark has such a name; there are {}", pattern, fmt::join(benchmark_names(gpu), ", "));
    return names;
}

/// Adds the calibration and the shares of it. Without a calibration, nothing.
void set_shares(Json& entry, const Measurement& m) {
    if (!m.calibration) return;
    const Calibration& c = *m.calibration;
    entry["peak_gflops"] = c.gflops;
    entry["share_of_peak"] = m.gflops() / c.gflops;
    entry["copy_gb_per_s"] = c.copy_gb_per_s;
    entry["share_of_copy"] = m.gb_per_s() / c.copy_gb_per_s;
    entry["clock_ghz"] = c.clock_ghz;
    entry["calibration_plausible"] = c.plausible();
}

Json to_json(const Measurement& m, int threads) {
    Json entry = {{"name", m.name},
                  {"device", m.device},
                  {"threads", threads},
                  {"repetitions", m.seconds.size()},
                  {"median_ms", 1e3 * m.median_seconds()},
                  {"min_ms", 1e3 * *std::min_element(m.seconds.begin(), m.seconds.end())},
                  {"clips_per_s", m.clips_per_second()},
                  {"peak_bytes", m.peak_bytes},
                  {"gflops", m.gflops()},
                  {"gb_per_s", m.gb_per_s()}};
    set_shares(entry, m);
    if (!m.convolutions.choices.empty()) entry["convolutions"] = to_json(m.convolutions);
    if (m.ops.empty()) return entry;
    Json& ops = entry["ops"] = Json::array();
    const double total = m.seconds_of_ops();
    for (const OpSamples& op : m.ops) {
        const double seconds = median(op.seconds);
        Json timed = {{"name", op.name},
                      {"kind", op.kind},
                      {"phase", name_of(op.phase)},
                      {"median_ms", 1e3 * seconds},
                      {"gflops", op.flops / seconds / 1e9},
                      {"gb_per_s", op.bytes_moved / seconds / 1e9},
                      {"share_of_step", seconds / total}};
        if (m.calibration) timed["share_of_roofline"] = roofline_share(op, *m.calibration);
        ops.push_back(timed);
    }
    return entry;
}

void print_ops(const Measurement& m) {
    TextTable table({"op", "kind", "phase", "ms", "GFLOP/s", "GB/s", "of step", "of roofline"}, {0, 1, 2});
    const double total = m.seconds_of_ops();
    std::map<std::string, double> by_kind;
    for (const OpSamples& op : m.ops) {
        const double seconds = median(op.seconds);
        by_kind[op.kind] += seconds;
        table.add({op.name, op.kind, std::string(name_of(op.phase)), fmt::format("{:.3f}", 1e3 * seconds),
                   op.flops > 0 ? fmt::format("{:.1f}", op.flops / seconds / 1e9) : "",
                   fmt::format("{:.1f}", op.bytes_moved / seconds / 1e9),
                   fmt::format("{:.1f} %", 100 * seconds / total),
                   m.calibration ? fmt::format("{:.0f} %", 100 * roofline_share(op, *m.calibration)) : ""});
    }
    std::vector<std::pair<double, std::string>> kinds;
    for (const auto& [kind, seconds] : by_kind) kinds.emplace_back(seconds, kind);
    std::sort(kinds.rbegin(), kinds.rend());
    TextTable summary({"kind", "ms", "of step"});
    for (const auto& [seconds, kind] : kinds)
        summary.add({kind, fmt::format("{:.2f}", 1e3 * seconds), fmt::format("{:.1f} %", 100 * seconds / total)});
    fmt::print("\n{} op by op\n{}\n{}", m.name, table.text(), summary.text());
}

std::string share_text(double figure, double of) { return fmt::format("{:.0f} %", 100 * figure / of); }

void print_calibration(const Calibration& c) {
    if (c.threads == 0)
        fmt::print("Last calibration: matrix product {:.1f} TFLOP/s, copy {:.1f} GB/s.\n", c.gflops / 1e3,
                   c.copy_gb_per_s);
    else
        fmt::print(
            "{} threads; last calibration: multiply-add peak {:.1f} GFLOP/s ({:.1f} FLOP per cycle and thread at "
            "{:.2f} GHz), copy {:.1f} GB/s.\nConvolutions count 2 FLOP per multiply-add of the direct method; an "
            "algorithm that needs fewer can pass 100 %.\n",
            c.threads, c.gflops, c.flop_per_cycle, c.clock_ghz, c.copy_gb_per_s);
}

void print(const std::vector<Measurement>& measurements) {
    TextTable table({"benchmark", "median ms", "clips/s", "peak memory", "GFLOP/s", "of peak", "GB/s", "of copy"});
    for (const Measurement& m : measurements) {
        const std::optional<Calibration>& c = m.calibration;
        table.add({m.name, fmt::format("{:.1f}", 1e3 * m.median_seconds()), fmt::format("{:.2f}", m.clips_per_second()),
                   bytes_text(static_cast<double>(m.peak_bytes)), fmt::format("{:.1f}", m.gflops()),
                   c ? share_text(m.gflops(), c->gflops) : "", fmt::format("{:.2f}", m.gb_per_s()),
                   c ? share_text(m.gb_per_s(), c->copy_gb_per_s) : ""});
    }
    fmt::print("{}", table.text());
    fmt::print("\n{}\n", measurements.back().device);
    if (measurements.back().calibration) print_calibration(*measurements.back().calibration);
    for (const Measurement& m : measurements) {
        if (!m.convolutions.choices.empty())
            fmt::print("\n{} by these engines\n{}", m.name, text_of(m.convolutions, !m.ops.empty()));
        if (!m.ops.empty()) print_ops(m);
    }
}

void note_left_out(const Measurement& m) {
    if (const std::string line = left_out_line(m.convolutions); !line.empty())
        fmt::print(stderr, "scene: {}: {}\n", m.name, line);
}

void warn_if_implausible(const Measurement& m) {
    if (m.calibration && !m.calibration->plausible())
        fmt::print(
            stderr,
            "scene: {}: the calibration gives {:.1f} FLOP per cycle and thread where at most {:.0f} are possible; "
            "is the machine busy?\n",
            m.name, m.calibration->flop_per_cycle, m.calibration->flop_per_cycle_max);
}

/// Answers each line `run NAME` on stdin with {"name", "seconds", "clips"} of one repetition, or {"error"}, so that
/// another program can alternate with this one. A benchmark is loaded and warmed up by its first line and stays loaded.
int serve(const BenchOptions& options) {
    const MeasurementSettings settings = options.measurement();
    std::unique_ptr<Device> device;
    std::map<std::string, std::unique_ptr<Benchmark>> loaded;
    for (std::string line; std::getline(std::cin, line);) {
        Json answer;
        try {
            if (!line.starts_with("run ")) fail("expected 'run NAME', not '{}'", line);
            const std::string name = line.substr(4);
            std::unique_ptr<Benchmark>& benchmark = loaded[name];
            if (!benchmark) {
                if (!device) device = make_device(settings);
                benchmark = make_benchmark(name, *device, options.seed());
                for (int warm_up = 0; warm_up < 2; ++warm_up) time_once(*benchmark);
            }
            answer = {{"name", name}, {"seconds", time_once(*benchmark)}, {"clips", benchmark->clips()}};
        } catch (const Error& error) { answer = {{"error", error.what()}}; }
        fmt::print("{}\n", json_line(answer));
        flush_standard_output();
    }
    return 0;
}

/// Each node of each benchmark's graph, in the order of its replay.
Json graph_map(const std::vector<Measurement>& measurements) {
    Json all = Json::array();
    for (const Measurement& m : measurements) {
        Json nodes = Json::array();
        for (const GraphNode& node : m.graph) {
            Json entry = {{"node", nodes.size()}, {"op", node.range}, {"kind", node.kind}};
            if (node.kind == "kernel") {
                entry["kernel"] = node.kernel;
                entry["grid"] = node.grid;
                entry["block"] = node.block;
                entry["shared_bytes"] = node.shared_bytes;
            }
            nodes.push_back(std::move(entry));
        }
        if (!nodes.empty()) all.push_back({{"benchmark", m.name}, {"device", m.device}, {"nodes", nodes}});
    }
    return all;
}

/// Fails now if the file could not be written after minutes of measurement.
void check_writable(const std::string& file) {
    if (file.empty()) return;
    const AtomicFile trial(file);
    if (std::filesystem::is_directory(file)) fail_write(file, EISDIR);
}

void write_files(const BenchOptions& options, const std::vector<Measurement>& measurements) {
    const auto none = [&](auto member) {
        return std::all_of(measurements.begin(), measurements.end(),
                           [&](const Measurement& m) { return (m.*member).empty(); });
    };
    if (!options.trace.empty()) {
        if (none(&Measurement::ops)) fail("--trace: {} has no ops; choose a step", options.filter);
        write_file(options.trace, json_line(chrome_trace(measurements)) + "\n");
    }
    if (!options.graph_map.empty()) {
        if (none(&Measurement::graph)) fail("--graph-map: {} is no step", options.filter);
        write_file(options.graph_map, json_text(graph_map(measurements)) + "\n");
    }
}

int run(const BenchOptions& options) {
    if (!options.trace.empty() && !options.op.empty()) fail("--trace shows every op of a step; leave out --op");
    check_writable(options.trace);
    check_writable(options.graph_map);
    if (options.serve) return serve(options);
    const MeasurementSettings settings = options.measurement();
    if (settings.graph && !settings.cuda) fail("--graph-map: only a GPU records a graph; use --device cuda");
    ProgressDisplay progress(options.common.quiet);
    std::vector<Measurement> measurements;
    for (const std::string& name : matching(options.filter, settings.cuda.has_value())) {
        progress.message("measuring " + name);
        measurements.push_back(measure(name, settings));
        warn_if_implausible(measurements.back());
        if (!options.common.quiet) note_left_out(measurements.back());
    }
    write_files(options, measurements);
    if (!options.common.json) {
        print(measurements);
        return 0;
    }
    Json all = Json::array();
    for (const Measurement& m : measurements) all.push_back(to_json(m, settings.cuda ? 0 : settings.threads));
    fmt::print("{}\n", json_text(all));
    return 0;
}

} // namespace

void add_bench_command(CommandLine& line) {
    const auto options = std::make_shared<BenchOptions>();
    Arguments arguments = line.add_command(
        "bench", "Measure whole steps and single ops beside what the processor can do at best.",
        fmt::format(
            "Examples:\n  scene bench --filter 'se_trans*'\n  scene bench --filter fcnn_train_b16 --ops --json\n"
            "  scene bench --filter fcnn_train_b16 --trace step.json\n"
            "  scene bench --filter fcnn_train_b16 --op 'block1.conv2.*'\n"
            "Benchmarks: {}; or any batch, such as fcnn_train_b4,\n"
            "or a 3x3 convolution, height x width x channels: conv_250x32x144_b16",
            fmt::join(benchmark_names(false), ", ")),
        [options] { return run(*options); });
    arguments.add("--filter", options->filter, "a name, or a pattern with * and ?");
    arguments.add("--repetitions", options->repetitions, "timed repetitions; the median counts").range(1, 100000);
    arguments.add_flag("--ops", options->ops, "also each op of a step");
    arguments.add("--op", options->op,
                  "also each op of this name, or pattern with * and ?; the others run too, but are not timed");
    arguments.add("--trace", options->trace,
                  "write the ops, phases and the arena's use to this file, which ui.perfetto.dev shows");
    arguments.add("--graph-map", options->graph_map,
                  "on a GPU: write which op each node of the step's CUDA graph belongs to, as JSON");
    arguments.add_flag("--deterministic,!--fastest", options->deterministic,
                       "on a GPU: convolutions that give the same bits every time (the default), or the fastest");
    arguments.add("--fusions", options->fusions, "on a GPU: convolutions with a batch norm's work in them")
        .choices(names_of(fusion_choices));
    arguments
        .add(
            "--autotune", options->autotune,
            "on a GPU: the convolutions' engines to choose from; full: also those compiled for a problem, seconds each")
        .choices(names_of(autotune_choices));
    arguments
        .add("--autotune-seconds", options->autotune_seconds,
             "on a GPU: the time for that, a step; 0: no limit; -1: 60 seconds, or 600 with full")
        .range(-1, 86400);
    arguments.add_flag("--serve", options->serve,
                       "answer each line 'run NAME' on stdin with the seconds of one repetition, as JSON");
    arguments.add_flag("--in-process", options->in_process,
                       "for profilers: measure in this process, not in a child, and leave out the calibration");
    add_common_options(arguments, options->common);
}

} // namespace scene
