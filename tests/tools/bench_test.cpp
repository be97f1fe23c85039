// scene bench: --in-process, for profilers that lose a forked child, its report of the engines, single ops and traces.

#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <sys/resource.h>

#include "kernels/files/json.h"
#include "model/step.h"
#include "tests/tools/command.h"
#include "tools/bench/measurement.h"
#include "tools/commands/convolution_report.h"

namespace scene::test {
namespace {

using nlohmann::json;

/// Page faults of the children that have ended. Every process has some.
long faults_of_children() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return usage.ru_minflt;
}

TEST(BenchInProcess, StartsNoOtherProcess) {
    const long before = faults_of_children();
    const Measurement measured = measure("logmel_b1", {.cuda = {}, .threads = 1, .repetitions = 2, .in_process = true});
    EXPECT_EQ(faults_of_children(), before);
    EXPECT_EQ(measured.seconds.size(), 2u);
    EXPECT_EQ(measured.clips, 1);
    EXPECT_FALSE(measured.calibration);
    (void)cuda_unavailable_reason_in_child();
    EXPECT_GT(faults_of_children(), before) << "a child would have been noticed";
}

TEST(BenchInProcess, TheCommandLeavesSharesOut) {
    for (const bool as_json : {true, false}) {
        std::vector<std::string> arguments = {"bench",  "--in-process", "--filter", "logmel_b1", "--repetitions",
                                              "1",      "--threads",    "1",        "--device",  "cpu",
                                              "--quiet"};
        if (as_json) arguments.push_back("--json");
        const Outcome outcome = scene_command(arguments);
        ASSERT_EQ(outcome.status, 0) << outcome.err;
        EXPECT_EQ(outcome.err, "");
        if (!as_json) {
            EXPECT_NE(outcome.out.find("logmel_b1"), std::string::npos);
            continue;
        }
        const json entry = parse_json(outcome.out).at(0);
        EXPECT_GT(entry.at("median_ms").get<double>(), 0);
        EXPECT_EQ(entry.at("threads"), 1);
        for (const char* share : {"peak_gflops", "share_of_peak", "share_of_copy", "calibration_plausible"})
            EXPECT_FALSE(entry.contains(share)) << share;
    }
}

// ---- single ops ---------------------------------------------------------------------------------------------------

/// The JSON of a benchmark on one thread of the CPU, without a calibration.
json bench_json(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"bench",   "--in-process", "--filter", name,       "--repetitions",
                                          "2",       "--threads",    "1",        "--device", "cpu",
                                          "--quiet", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = scene_command(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status == 0 ? parse_json(outcome.out).at(0) : json();
}

TEST(BenchOp, TimesTheOpsOfThatNameAlone) {
    const json step = bench_json("small_cnn_train_b2", {"--op", "conv2.*"});
    std::vector<std::string> names;
    for (const json& op : step.at("ops")) {
        names.push_back(op.at("name"));
        EXPECT_DOUBLE_EQ(op.at("share_of_step").get<double>(),
                         op.at("median_ms").get<double>() / step.at("median_ms").get<double>());
    }
    EXPECT_EQ(names, (std::vector<std::string>{"conv2.forward", "conv2.weight_grad", "conv2.data_grad"}));
    for (const char* name : {"small_cnn_train_b2", "logmel_b1"})
        EXPECT_TRUE(fails_with(scene_command({"bench", "--filter", name, "--op", "conv77*", "--repetitions", "1",
                                              "--device", "cpu", "-q"}),
                               1, fmt::format("--op conv77*: {} has no op of such a name", name)));
}

TEST(BenchConvolution, MeasuresEachPass) {
    const json conv = bench_json("conv_6x5x8_b3", {"--ops"});
    const double flops = 2.0 * 3 * 6 * 5 * 8 * 9 * 8;
    const auto work = [](const json& entry) {
        return entry.at("gflops").get<double>() * entry.at("median_ms").get<double>() * 1e6;
    };
    EXPECT_NEAR(work(conv), 3 * flops, 1e-3 * flops);
    ASSERT_EQ(conv.at("ops").size(), 3u);
    for (const auto& [index, kind] :
         {std::pair{0, "conv2d_forward"}, {1, "conv2d_data_grad"}, {2, "conv2d_weight_grad"}}) {
        EXPECT_EQ(conv.at("ops").at(index).at("kind"), kind);
        EXPECT_NEAR(work(conv.at("ops").at(index)), flops, 1e-3 * flops);
    }
    EXPECT_EQ(bench_json("conv_6x5x8_b3", {"--op", "data*"}).at("ops").size(), 1u);
    for (const char* name : {"conv_6x5_b3", "conv_6x5x8", "conv_6x5x0_b3", "conv_6x5x8_b3x", "conv_-6x5x8_b3"})
        EXPECT_FALSE(is_benchmark(name)) << name;
}

// ---- traces -------------------------------------------------------------------------------------------------------

/// A slice of a trace, in whole nanoseconds.
struct Slice {
    std::string name, category;
    int64_t begin = 0, end = 0;
    int depth = 0;
    json arguments;
};

struct Trace {
    std::vector<Slice> slices;                       ///< in the order of their begins
    std::vector<std::array<int64_t, 3>> arena;       ///< time, live, end
    std::map<std::string, std::string> process_name; ///< by "pid"
};

/// Reads the events as a viewer does, and checks the rules of the format: every event has a phase, a process and a
/// thread, times do not go back, slices nest, and each that begins ends.
Trace read_trace(const std::string& text, int process) {
    const json file = parse_json(text);
    EXPECT_EQ(file.at("displayTimeUnit"), "ns");
    Trace trace;
    std::vector<size_t> open;
    int64_t now = 0;
    for (const json& event : file.at("traceEvents")) {
        const std::string phase = event.at("ph");
        EXPECT_TRUE(event.at("pid").is_number_integer() && event.at("tid").is_number_integer());
        if (event.at("pid") != process) continue;
        if (phase == "M") {
            trace.process_name[event.at("name")] = event.at("args").at("name");
            continue;
        }
        const double nanoseconds = 1e3 * event.at("ts").get<double>();
        EXPECT_NEAR(nanoseconds, std::round(nanoseconds), 1e-3) << "whole nanoseconds";
        EXPECT_GE(std::llround(nanoseconds), now) << event;
        now = std::llround(nanoseconds);
        if (phase == "B") {
            trace.slices.push_back({event.at("name"), event.at("cat"), now, -1, static_cast<int>(open.size()),
                                    event.value("args", json())});
            open.push_back(trace.slices.size() - 1);
        } else if (phase == "E") {
            if (open.empty()) {
                ADD_FAILURE() << "an end without a begin at " << now;
                return trace;
            }
            trace.slices[open.back()].end = now;
            open.pop_back();
        } else {
            EXPECT_EQ(phase, "C");
            EXPECT_EQ(event.at("name"), "arena");
            trace.arena.push_back({now, event.at("args").at("live"), event.at("args").at("end")});
        }
    }
    EXPECT_TRUE(open.empty()) << open.size() << " slices do not end";
    return trace;
}

int64_t highest(const std::vector<std::array<int64_t, 3>>& samples, size_t value) {
    int64_t most = 0;
    for (const auto& sample : samples) most = std::max(most, sample[value]);
    return most;
}

/// Of the benchmark's training step; `scene plan` counts the tables of as many clips as CAS2023 has.
int64_t bytes_of_variables(const std::string& network, int64_t batch) {
    StepConfig config;
    for (const Network* known : networks())
        if (known->name == network) config.model.network = known;
    config.batch = batch;
    config.rows = 2 * batch;
    const auto device = make_cpu_device(1);
    Variables variables;
    build_training_step(device->planner(), variables, config, batch);
    return static_cast<int64_t>(variables.total_bytes());
}

/// Against the JSON of the same measurement, and the memory that `scene plan` tells.
TEST(BenchTrace, HasTheOpsInTheirPhasesAndTheArena) {
    const TemporaryFolder folder;
    const std::string file = folder / "step.json";
    const json step = bench_json("small_cnn_train_b2", {"--trace", file});
    const Trace trace = read_trace(read_text(file), 1);
    EXPECT_EQ(trace.process_name.at("process_name"), "small_cnn_train_b2");
    std::vector<Slice> phases, ops;
    for (const Slice& slice : trace.slices) (slice.depth == 0 ? phases : ops).push_back(slice);
    ASSERT_EQ(phases.size(), 3u);
    const std::vector<std::string> names = {"forward", "backward", "update"};
    for (size_t index = 0; index < 3; ++index) {
        EXPECT_EQ(phases[index].name, names[index]);
        EXPECT_EQ(phases[index].begin, index == 0 ? 0 : phases[index - 1].end) << "no gaps";
    }
    ASSERT_EQ(ops.size(), step.at("ops").size());
    double total = 0;
    size_t phase = 0;
    for (size_t index = 0; index < ops.size(); ++index) {
        const json& timed = step.at("ops").at(index);
        const Slice& op = ops[index];
        SCOPED_TRACE(op.name);
        EXPECT_EQ(op.name, timed.at("name"));
        EXPECT_EQ(op.category, timed.at("kind"));
        EXPECT_EQ(op.depth, 1);
        for (const char* same : {"kind", "phase", "median_ms", "gflops", "share_of_step"})
            EXPECT_EQ(op.arguments.at(same), timed.at(same)) << same;
        EXPECT_NEAR(static_cast<double>(op.end - op.begin), 1e6 * timed.at("median_ms").get<double>(), 1.001);
        total += timed.at("median_ms").get<double>();
        if (op.begin >= phases[phase].end && phase + 1 < phases.size()) ++phase;
        EXPECT_EQ(timed.at("phase"), phases[phase].name);
        EXPECT_LE(op.end, phases[phase].end);
    }
    EXPECT_NEAR(static_cast<double>(phases.back().end), 1e6 * total, 1.001);

    const Outcome planned =
        scene_command({"plan", "--config", "configs/system1.toml", "--set", "model.architecture=small-cnn", "--batch",
                       "2", "--threads", "1", "--device", "cpu", "--quiet", "--json"});
    ASSERT_EQ(planned.status, 0) << planned.err;
    const json plan = parse_json(planned.out).at("totals");
    ASSERT_EQ(trace.arena.size(), ops.size() + 1) << "one for each op, and the end";
    EXPECT_EQ(trace.arena.front()[0], 0);
    EXPECT_EQ(trace.arena.back()[0], phases.back().end);
    const int64_t variables = bytes_of_variables("small-cnn", 2);
    EXPECT_EQ(highest(trace.arena, 1), variables + plan.at("lower_bound_bytes").get<int64_t>());
    EXPECT_EQ(highest(trace.arena, 2), variables + plan.at("transient_bytes").get<int64_t>());
}

TEST(BenchTrace, AProcessForEachStepAndNothingElse) {
    const TemporaryFolder folder;
    const std::string file = folder / "steps.json";
    const json step = bench_json("small_cnn_infer_b1", {"--trace", file});
    const json events = parse_json(read_text(file)).at("traceEvents");
    EXPECT_EQ(read_trace(read_text(file), 1).slices.size(), step.at("ops").size() + 1) << "one phase";
    for (const json& event : events) EXPECT_EQ(event.at("pid"), 1);
}

TEST(BenchTrace, WhatCannotBeWrittenIsOneLine) {
    const TemporaryFolder folder;
    const auto bench = [](const std::string& name, const std::vector<std::string>& more) {
        std::vector<std::string> arguments = {"bench", "--filter", name, "--repetitions", "1", "--device", "cpu", "-q"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return scene_command(arguments);
    };
    const std::string file = folder / "x.json";
    EXPECT_TRUE(
        fails_with(bench("small_cnn_train_b1", {"--trace", folder / "none" / "x.json"}), 1, "there is no folder"));
    EXPECT_TRUE(
        fails_with(bench("small_cnn_train_b1", {"--trace", folder.path()}), 1, "there is a folder of that name"));
    EXPECT_TRUE(fails_with(bench("logmel_b1", {"--trace", file, "--in-process"}), 1, "--trace: logmel_b1 has no ops"));
    EXPECT_TRUE(fails_with(bench("small_cnn_train_b1", {"--trace", file, "--op", "x"}), 1, "leave out --op"));
    EXPECT_TRUE(fails_with(bench("small_cnn_train_b1", {"--graph-map", file}), 1, "use --device cuda"));
    EXPECT_TRUE(fails_with(bench("small_cnn_train_b1", {"--graph-map", folder / "none" / "x.json"}), 1, "no folder"));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "no file is left";
}

// ---- which engines ran ------------------------------------------------------------------------------------------

const ConvReport report{{{"forward A", "engine 7", 2.5e-5, true, "", 0},
                         {"forward A with sums", "engine 2", 3e-5, false, "engine 1: no memory", 0},
                         {"forward B with sums", "", 0, false, "no plan runs", 0}},
                        "in a file",
                        60,
                        12.34};

TEST(ConvolutionReport, TellsWhatRanAndWhatFailed) {
    const std::string text = text_of(report, false), all = text_of(report, true);
    EXPECT_NE(text.find("engine 7"), std::string::npos);
    EXPECT_NE(text.find("25.0"), std::string::npos) << "microseconds";
    EXPECT_EQ(text.find("engine 2"), std::string::npos) << "did not run";
    EXPECT_NE(all.find("engine 2"), std::string::npos);
    for (const char* part :
         {"forward A with sums: engine 1: no memory", "forward B with sums: no plan runs", "in a file"})
        EXPECT_NE(text.find(part), std::string::npos) << part;
    const nlohmann::ordered_json entries = to_json(report);
    EXPECT_EQ(entries.at("kept"), "in a file");
    EXPECT_EQ(entries.at("choices").size(), 3u);
    EXPECT_EQ(entries.at("choices").at(0).at("ran"), true);
    EXPECT_EQ(entries.at("choices").at(1).at("failures"), "engine 1: no memory");
}

TEST(ConvolutionReport, TellsWhatTheTimeWasSpentOnAndWhatWasLeftOut) {
    EXPECT_EQ(left_out_line(report), "");
    EXPECT_NE(text_of(report, false).find("The choice took 12.3 s, of at most 60 for a step"), std::string::npos);
    EXPECT_EQ(text_of(report, true).find("Left out"), std::string::npos);
    ConvReport limited = report;
    limited.choices[0].left_out = 3;
    limited.choices[2].left_out = 11;
    EXPECT_EQ(left_out_line(limited),
              "14 engines for 2 of 3 forms of a convolution were not tried within the 60 seconds for a step; "
              "runtime.autotune_seconds sets another time, 0 no limit");
    EXPECT_NE(text_of(limited, false).find("Left out: 14 engines"), std::string::npos);
    const nlohmann::ordered_json json = to_json(limited);
    EXPECT_EQ(json.at("autotune").at("budget_seconds"), 60);
    EXPECT_EQ(json.at("autotune").at("spent_seconds"), 12.34);
    EXPECT_EQ(json.at("autotune").at("left_out"), 14);
    EXPECT_EQ(json.at("choices").at(2).at("left_out"), 11);
    limited.budget_seconds = 0;
    EXPECT_NE(text_of(limited, false).find("of any number"), std::string::npos);
}

TEST(ConvolutionReport, OneLineOfFailures) {
    EXPECT_EQ(failures_line(report),
              "engines failed for 2 of 3 forms of a convolution (the first: forward A with sums: "
              "engine 1: no memory); `scene bench` lists them");
    EXPECT_EQ(failures_line({}), "");
}

} // namespace
} // namespace scene::test
