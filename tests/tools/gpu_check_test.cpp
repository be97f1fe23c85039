// What runs where there is a GPU, as far as it can be tested where there is none: the refusals, and tools/gpu_check.sh
// with programs in the place of the real ones, of which some fail and some hang.

#include <cstdlib>

#include <fmt/core.h>

#include "kernels/cuda/cuda_device.h"
#include "kernels/json.h"
#include "tests/tools/command.h"

namespace scene::test {
namespace {

using nlohmann::json;

/// Runs a line of shell with nothing in its environment but the search path.
Outcome shell(const TemporaryFolder& folder, const std::string& line) {
    const std::string command =
        fmt::format("env -i PATH=\"$PATH\" {} > {} 2> {}", line, (folder / "out").string(), (folder / "err").string());
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(folder / "out"), read_text(folder / "err")};
}

TEST(GpuTests, RefuseInOneLineWhereThereIsNoGpu) {
    const std::filesystem::path program = scene_binary().parent_path() / "tests" / "gpu_tests";
    if (!std::filesystem::exists(program)) GTEST_SKIP() << "this build has no tests for a GPU";
    if (cuda_obstacle().empty()) GTEST_SKIP() << "there is a GPU";
    const TemporaryFolder folder;
    const Outcome outcome = shell(folder, program.string());
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "gpu_tests: " + cuda_obstacle() + "\n");
}

TEST(GpuCheck, RefusesInOneLineWhereThereIsNoGpu) {
    if (std::system("python3 -c '' 2> /dev/null") != 0) GTEST_SKIP() << "there is no Python";
    if (cuda_obstacle().empty()) GTEST_SKIP() << "there is a GPU";
    const TemporaryFolder folder;
    const Outcome outcome = shell(folder, fmt::format("SCENE={} tools/gpu_check.sh", scene_binary().string()));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err, "gpu_check: " + cuda_obstacle() + "\n");
}

/// Of this build's scene, twice: what is tested is what lies in the folder, and that it says so.
TEST(Bundle, HasTheProgramsTheirLibrariesAndTheCommit) {
    const TemporaryFolder folder;
    const std::string bundle = folder / "bundle", scene = scene_binary();
    const Outcome made = shell(folder, fmt::format("tools/bundle.sh {} {} /bin/true", bundle, scene));
    ASSERT_EQ(made.status, 0) << made.err;
    EXPECT_TRUE(made.out.starts_with(bundle + ": ")) << made.out;
    for (const char* file :
         {"build/scene", "build/tests/gpu_tests", "tools/gpu_check.sh", "tools/gpu_report.py", "COMMIT",
          "configs/system4.toml", "tools/reference/bench_peer_gpu.py", "tools/reference/models.py"})
        EXPECT_TRUE(std::filesystem::exists(folder / "bundle" / file)) << file;
    EXPECT_TRUE(std::filesystem::exists(bundle + ".tar.gz"));
    const Outcome ran = shell(folder, fmt::format("LD_LIBRARY_PATH={0}/lib {0}/build/scene --version", bundle));
    EXPECT_EQ(ran.out, scene_command({"--version"}).out);
    bool has_onednn = false;
    for (const auto& library : std::filesystem::directory_iterator(folder / "bundle" / "lib")) {
        const std::string name = library.path().filename();
        EXPECT_FALSE(name.starts_with("libc.so")) << "the machine's own";
        has_onednn |= name.starts_with("libdnnl.so");
    }
    EXPECT_TRUE(has_onednn);
}

class StandIns {
public:
    StandIns() {
        write_program("scene", R"(case "$1 $*" in
info*) echo '{"devices": [{"kind": "cuda", "name": "Test GPU", "libraries": "none"}], "build": {}}' ;;
*fp32*) echo "no such precision" >&2; exit 3 ;;
*) echo '[{"name": "a step", "median_ms": 1.5}]' ;;
esac)");
        write_program("tests", R"(case $* in
*list*) printf 'CudaBad.\n  A\nCudaHangs.\n  A\nCudaGood.\n  A\n  B\n' ;;
*CudaHangs*) echo "[ RUN      ] CudaHangs.A"; sleep 60 ;;
*CudaBad*) kill -SEGV $$ ;;
*) echo '{"testsuites": [{"testsuite": [
    {"classname": "CudaGood", "name": "A", "result": "COMPLETED"},
    {"classname": "CudaGood", "name": "B", "result": "COMPLETED", "failures": [{"failure": "3 is not 4"}]}]}]}' \
    > "${2#--gtest_output=json:}"; exit 1 ;;
esac)");
    }

    /// One that answers as Nsight Compute does, for two kernels.
    void add_profiler() {
        write_program("ncu", R"(while [ $# -gt 1 ]; do [ "$1" = --log-file ] && log=$2; shift; done
cat > "$log" <<END
==PROF== Connected to process 7
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","7","convolve","dram__bytes_read.sum","byte","1,024"
"0","7","convolve","dram__bytes_write.sum","byte","512"
"1","7","adam","dram__bytes_read.sum","byte","64"
"1","7","adam","dram__bytes_write.sum","byte","0"
END
echo '[]')");
    }

    Outcome check(const std::string& settings) {
        return shell(folder_,
                     fmt::format("PATH={}:\"$PATH\" SCENE={} GPU_TESTS={} PARTS='[!p]*' {} tools/gpu_check.sh {}",
                                 folder_.path().string(), (folder_ / "scene").string(), (folder_ / "tests").string(),
                                 settings, (folder_ / "report.json").string()));
    }
    json report() const { return parse_json(read_text(folder_ / "report.json")); }

private:
    void write_program(const std::string& name, const std::string& body) {
        write_text(folder_ / name, "#!/bin/bash\n" + body + "\n");
        std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
    }
    TemporaryFolder folder_;
};

TEST(GpuCheck, WhatFailsOrHangsIsReportedAndTheRestGoesOn) {
    if (std::system("python3 -c '' 2> /dev/null") != 0) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    const Outcome outcome = programs.check("SECONDS_FOR_TESTS=2");
    EXPECT_EQ(outcome.status, 1);
    const json report = programs.report(), parts = report.at("parts");
    EXPECT_EQ(report.at("device"), "Test GPU");
    EXPECT_EQ(parts.at("test_CudaBad").at("outcome"), "failed with exit status 139");
    EXPECT_EQ(parts.at("test_CudaHangs").at("outcome"), "stopped at its limit");
    EXPECT_EQ(parts.at("test_CudaHangs").at("output"), json({"[ RUN      ] CudaHangs.A"}));
    EXPECT_EQ(parts.at("test_CudaGood").at("passed"), 1);
    EXPECT_EQ(parts.at("test_CudaGood").at("failed"), json({{"CudaGood.B", "3 is not 4"}}));
    EXPECT_EQ(parts.at("bench_fp16_fcnn_train_b256").at("results").at(0).at("median_ms"), 1.5);
    EXPECT_EQ(parts.at("bench_fp32_fcnn_train_b256").at("outcome"), "failed with exit status 3");
    EXPECT_EQ(parts.at("bench_fp32_fcnn_train_b256").at("output"), json({"no such precision"}));
}

TEST(GpuCheck, TheProfilersCountersAreAddedUp) {
    if (std::system("python3 -c '' 2> /dev/null") != 0) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    programs.add_profiler();
    EXPECT_EQ(programs.check("PARTS=traffic_fp16").status, 0);
    const json traffic = programs.report().at("parts").at("traffic_fp16");
    EXPECT_EQ(traffic.at("outcome"), "passed");
    EXPECT_EQ(traffic.at("kernels"), 2);
    EXPECT_EQ(traffic.at("device_memory_bytes"), 1600);
}

TEST(GpuCheck, WhatThereIsNoTimeForIsLeftOut) {
    if (std::system("python3 -c '' 2> /dev/null") != 0) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    EXPECT_EQ(programs.check("SECONDS_IN_ALL=1").status, 1);
    const json parts = programs.report().at("parts");
    EXPECT_EQ(parts.at("bench_fp16_fcnn_train_b256"), json({{"outcome", "left out"}}));
}

TEST(GpuCheck, OnlyThePartsThatAreWantedRun) {
    if (std::system("python3 -c '' 2> /dev/null") != 0) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    EXPECT_EQ(programs.check("PARTS=test_CudaBad").status, 1);
    const json parts = programs.report().at("parts");
    EXPECT_EQ(parts.size(), 2u) << parts; // with the list of suites
    EXPECT_EQ(parts.at("test_CudaBad").at("outcome"), "failed with exit status 139");
}

TEST(GpuCheck, TheReportIsThereWhenItIsKilled) {
    if (std::system("python3 -c '' 2> /dev/null") != 0) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    EXPECT_NE(programs.check("timeout --signal=KILL 5").status, 0);
    const json parts = programs.report().at("parts");
    EXPECT_EQ(parts.at("test_CudaBad").at("outcome"), "failed with exit status 139");
    EXPECT_EQ(parts.at("test_CudaHangs").at("outcome"), "unfinished");
}

} // namespace
} // namespace scene::test
