// The kernels of the steps at their real shapes, held to the thresholds; and every kernel is among them.

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tests/counters/counter_names.h"
#include "tests/counters/counters_json.h"
#include "tests/counters/steps.h"
#include "tests/counters/table.h"
#include "tests/counters/thresholds.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::counters {
namespace {

/// Four slices of each grid, whatever they cost.
constexpr CountingLimits few_blocks{.accesses = 1};

/// All findings, of a rule and subject the first.
std::vector<Finding> all_findings(const std::vector<CountedStep>& steps) {
    std::vector<Finding> out;
    std::set<std::pair<std::string, std::string>> known;
    for (const CountedStep& step : steps)
        for (const Finding& finding : findings(step))
            if (known.insert({finding.rule, finding.subject}).second) out.push_back(finding);
    return out;
}

TEST(Steps, KeepTheThresholdsButForTheExceptions) {
    std::vector<CountedStep> steps;
    steps.push_back(count_step("fcnn_train", {.batch = 256, .limits = {.accesses = 100'000}}));
    steps.push_back(count_step("se_trans_train", {.batch = 32, .limits = few_blocks}));
    steps.push_back(count_step("fcnn_infer", {.batch = 32, .limits = few_blocks}));
    steps.push_back(count_step("logmel", {.batch = 4, .limits = few_blocks}));
    steps.push_back(count_step("experiment", {.batch = 256, .limits = few_blocks}));
    // So few blocks of so small a grid tell the ratios of a kernel, but not its bytes within 2 %.
    for (size_t i = 1; i < steps.size(); ++i) steps[i].plan.clear();
    for (const std::string& line : unexplained(all_findings(steps), read_exceptions("tests/counters/exceptions.txt")))
        ADD_FAILURE() << line;
    size_t compared = 0;
    for (const PlannedOp& op : steps[0].plan)
        compared += !op.by_library && std::any_of(steps[0].counters.kernels.begin(), steps[0].counters.kernels.end(),
                                                  [&](const KernelCounters& k) { return k.op == op.name; });
    EXPECT_GT(compared, 40u) << "ops with their record's bytes";
}

/// "vote" of "__global__ void __launch_bounds__(block_threads) vote(..."
std::set<std::string> kernels_in_sources() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator("kernels")) {
        const std::string file = entry.path().string();
        // The baseline of log-mel is launched by its benchmark alone.
        if ((!file.ends_with(".cu") && !file.ends_with(".h")) || file.starts_with("kernels/cuda/cufft/")) continue;
        std::ifstream in(entry.path());
        std::stringstream text;
        text << in.rdbuf();
        const std::string source = text.str();
        for (size_t at = source.find("__global__"); at != std::string::npos; at = source.find("__global__", at + 1)) {
            size_t open = source.find('(', at);
            if (source.substr(at, open - at).ends_with("__launch_bounds__"))
                open = source.find('(', source.find(')', open));
            const size_t end = source.find_last_not_of(" \n", open - 1) + 1;
            size_t first = end;
            while (std::isalnum(static_cast<unsigned char>(source[first - 1])) || source[first - 1] == '_') --first;
            names.insert(source.substr(first, end - first));
        }
    }
    return names;
}

TEST(Steps, LaunchEveryKernel) {
    std::set<std::string> missing = kernels_in_sources();
    EXPECT_GT(missing.size(), 50u);
    const StepSettings small{.batch = 4, .width = 0.06, .limits = few_blocks};
    StepSettings fused = small, single = small;
    fused.fusions = Fusions::Always;
    single.activation = DType::F32;
    const auto count = [&](const std::string& name, const StepSettings& settings) {
        for (const KernelCounters& kernel : count_step(name, settings).counters.kernels) {
            const size_t end = std::min(kernel.kernel.find('<'), kernel.kernel.size());
            missing.erase(
                kernel.kernel.substr(kernel.kernel.rfind(':', end) + 1, end - kernel.kernel.rfind(':', end) - 1));
            EXPECT_GT(kernel.lines.size() + (kernel.kind == "advance" ? 1 : 0), 0u) << kernel.kernel;
            EXPECT_FALSE(kernel.op.empty());
            for (const LineCounts& line : kernel.lines) {
                ASSERT_FALSE(line.frames.empty()) << kernel.kernel;
                EXPECT_TRUE(line.frames.back().file.starts_with("kernels/")) << line.frames.back().file;
                EXPECT_GT(line.frames.back().line, 0);
            }
        }
    };
    for (const std::string& name : step_names()) count(name, small);
    count("fcnn_train", fused);
    for (const char* name : {"fcnn_train", "se_trans_train"}) count(name, single);
    EXPECT_TRUE(missing.empty()) << fmt::format("{}", fmt::join(missing, ", "));
}

TEST(Steps, AnUnknownNameSaysWhichThereAre) {
    EXPECT_TRUE(test::fails_with([] { (void)count_step("fcnn", {}); }, {"fcnn", "fcnn_train", "logmel"}));
}

TEST(CountersJson, IsReadAsItWasWritten) {
    const StepCounters step = count_step("experiment", {.batch = 8, .limits = few_blocks}).counters;
    const test::TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "step.json";
    write_step_counters(step, file);
    const StepCounters again = read_step_counters(file);
    EXPECT_EQ(to_json(again), to_json(step));
    ASSERT_EQ(again.kernels.size(), 3u);
    EXPECT_EQ(again.kernels[0].kind, "hard_sample_weights");
    EXPECT_FALSE(again.kernels[0].lines.empty());
    EXPECT_EQ(table_text(again), table_text(step));
    EXPECT_TRUE(test::fails_with([&] { (void)read_step_counters(folder.path() / "none.json"); },
                                 {"none.json", "make counters"}));
    std::ofstream(file) << "{}";
    EXPECT_TRUE(test::fails_with([&] { (void)read_step_counters(file); }, {"step.json", "make counters"}));
}

TEST(Exceptions, ALineWithoutAReasonIsRefused) {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "list") << "# a comment\n\nlanes | convolve | because\nlanes | convolve\n";
    EXPECT_TRUE(test::fails_with([&] { (void)read_exceptions(folder.path() / "list"); }, {"list:4", "reason"}));
}

} // namespace
} // namespace scene::counters
