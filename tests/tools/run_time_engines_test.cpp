// Engines that cuDNN compiles at run time. It proposes them only if there is a driver, so the test runs in a process
// with a stand-in for one (stand_ins/libcuda.cpp). Skipped if the machine has no cuDNN, not built if the build has
// none.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/cuda/cudnn/plans.h"
#include "kernels/error.h"

namespace scene::test {
namespace {

using namespace cuda;

constexpr const char* marker = "SCENE_TEST_WITH_A_DRIVER";

/// Runs this test again in a process that finds the stand-in; returns its exit status.
int again_with_a_driver(const std::filesystem::path& folder) {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    const std::string filter = std::string("--gtest_filter=") + test.test_suite_name() + "." + test.name();
    const char* others = std::getenv("LD_LIBRARY_PATH");
    const std::string path = folder.string() + (others ? std::string(":") + others : "");
    const pid_t child = fork();
    if (child == 0) {
        setenv("LD_LIBRARY_PATH", path.c_str(), 1);
        setenv(marker, "1", 1);
        execl(program.c_str(), program.c_str(), filter.c_str(), "--gtest_brief=1", nullptr);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

size_t in_common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return static_cast<size_t>(
        std::count_if(a.begin(), a.end(), [&](const auto& name) { return std::count(b.begin(), b.end(), name) > 0; }));
}

/// Building one of their plans costs seconds, and by default none is built.
TEST(RunTimeEngines, AreCandidatesOnlyWhenAskedFor) {
    std::optional<PlanTarget> target;
    try {
        target.emplace(device_profile("h100"));
    } catch (const Error& error) { GTEST_SKIP() << error.what(); }
    if (!cudnn().version().starts_with("9.19.")) GTEST_SKIP() << "cuDNN " << cudnn().version() << " was not looked at";
    if (!std::getenv(marker)) {
        const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "stand_ins";
        ASSERT_TRUE(std::filesystem::exists(folder / "libcuda.so.1"));
        EXPECT_EQ(again_with_a_driver(folder), 0);
        return;
    }
    const Conv2dShape shape{64, 125, 16, 288, 288};
    ConvolutionProblem problem{{shape, ConvPass::Forward, {}}, DType::F16, true, true, size_t{1} << 30};
    for (const bool sums : {false, true}) {
        problem.task.fusion.statistics = sums;
        problem.run_time_compiled = false;
        const std::vector<std::string> precompiled = convolution_engines(problem, *target);
        problem.run_time_compiled = true;
        const std::vector<std::string> all = convolution_engines(problem, *target);
        EXPECT_EQ(all.size(), precompiled.size() + (sums ? 3 : 1)) << problem.text();
        EXPECT_EQ(in_common(precompiled, all), precompiled.size());
        const std::string compiled = sums ? "engine 3 " : "engine 71 "; // as cuDNN's own notes say
        const auto is_compiled = [&](const std::string& name) { return (name + " ").starts_with(compiled); };
        EXPECT_EQ(std::count_if(precompiled.begin(), precompiled.end(), is_compiled), 0);
        EXPECT_EQ(std::count_if(all.begin(), all.end(), is_compiled), sums ? 3 : 1);
    }
}

TEST(RunTimeEngines, TheKeyOfTheCacheTellsThemApart) {
    ConvolutionProblem problem{{{2, 8, 4, 16, 24}, ConvPass::Forward, {}}, DType::F16, true, true, 7};
    const std::string precompiled = problem.text();
    problem.run_time_compiled = true;
    EXPECT_NE(problem.text(), precompiled);
}

} // namespace
} // namespace scene::test
