// scene bench: --in-process, for profilers that lose a forked child, and its report of the engines.

#include <sys/resource.h>

#include "kernels/files/json.h"
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
