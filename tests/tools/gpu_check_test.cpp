// The programs for a GPU, as far as they can be tested without one: how they refuse to run, and tools/gpu_check.sh with
// stand-ins that fail, crash, hang and lose the device.

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "kernels/cuda/gpu.h"
#include "kernels/files/json.h"
#include "tests/tools/stand_in_programs.h"

namespace scene::test {
namespace {

using nlohmann::json;
using testing::AssertionFailure;
using testing::AssertionResult;
using testing::AssertionSuccess;

/// Whether the line of a part begins with `begin` and ends with `end`; between them are its seconds.
AssertionResult says(const std::string& output, const std::string& begin, const std::string& end) {
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("== " + begin + ", ") && line.ends_with(" s" + end)) return AssertionSuccess();
    return AssertionFailure() << "no line '== " << begin << ", ... s" << end << "' in:\n" << output;
}

bool has_python() { return std::system("python3 -c '' 2> /dev/null") == 0; }

TEST(GpuTests, RefuseInOneLineWhereThereIsNoGpu) {
    const std::filesystem::path program = scene_binary().parent_path() / "tests" / "gpu_tests";
    if (!std::filesystem::exists(program)) GTEST_SKIP() << "this build has no tests for a GPU";
    if (cuda_unavailable_reason().empty()) GTEST_SKIP() << "there is a GPU";
    const TemporaryFolder folder;
    const Outcome outcome = shell(folder, program.string());
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "gpu_tests: " + cuda_unavailable_reason() + "\n");
}

TEST(GpuCheck, RefusesInOneLineWhereThereIsNoGpu) {
    if (cuda_unavailable_reason().empty()) GTEST_SKIP() << "there is a GPU";
    const TemporaryFolder folder;
    const Outcome outcome = shell(
        folder, fmt::format("OUT={} SCENE={} tools/gpu_check.sh", (folder / "back").string(), scene_binary().string()));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err,
              "gpu_check: CUDA: " + (built_with_cuda() ? cuda_unavailable_reason() : "not in this build") + "\n");
    EXPECT_TRUE(std::filesystem::exists(folder / "back" / "logs.tgz")) << "why not may be in there";
}

TEST(GpuCheck, RefusesWhatItDoesNotKnow) {
    const TemporaryFolder folder;
    const auto error = [&](const std::string& line) {
        const Outcome outcome = shell(folder, line);
        EXPECT_EQ(outcome.status, 1);
        EXPECT_EQ(outcome.out, "");
        return outcome.err;
    };
    EXPECT_EQ(error("tools/gpu_check.sh contract"),
              "gpu_check: contract is neither contact, measure, experiment, sanitize, "
              "all, nor the .json file to write the report to\n");
    EXPECT_EQ(error("SECONDS_IN_ALL=10 tools/gpu_check.sh contact"),
              "gpu_check: SECONDS_IN_ALL=10: needs 30 or more\n");
    EXPECT_EQ(error("SECONDS_IN_ALL=few tools/gpu_check.sh contact"),
              "gpu_check: SECONDS_IN_ALL=few: needs 30 or more\n");
}

/// A bundle of this build's scene; /bin/true stands in for the tests.
TEST(Bundle, HasTheProgramsTheirLibrariesAndTheCommit) {
    const TemporaryFolder folder;
    const std::string bundle = folder / "bundle", scene = scene_binary();
    const Outcome made = shell(folder, fmt::format("tools/bundle.sh {} {} /bin/true", bundle, scene));
    ASSERT_EQ(made.status, 0) << made.err;
    EXPECT_TRUE(made.out.starts_with(bundle + ": ")) << made.out;
    for (const char* file :
         {"build/scene", "build/tests/gpu_tests", "tools/gpu_check.sh", "tools/gpu_report.py", "tools/profile.sh",
          "COMMIT", "configs/system4.toml", "tools/reference/bench_peer_gpu.py", "tools/reference/models.py"})
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

/// A stand-in for gpu_tests that prints what GoogleTest does. CudaBad.A has the fault FAULT. Its parent process is
/// timeout, its grandparent the script.
constexpr const char* gpu_tests = R"sh(set -f
all="CudaAdam.A CudaBad.A CudaBad.B CudaLast.A GpuOps.A
     GpuStep.LossAndGradientsOfTheFirstStep GpuStep.TheSameBitsTwice GpuStep.Inference"
[ "$FAULT" != rename ] || all=${all/TheSameBits/EqualBits}
[ "$1" != --gtest_list_tests ] || { printf 'CudaAdam.\n  A\nCudaBad.\n  A\n  B\nCudaLast.\n  A\n'; exit; }
filter=${1#--gtest_filter=} lost=0 status=0
matches() { # TEST PATTERNS
    local IFS=: pattern
    for pattern in $2; do [[ $1 != $pattern ]] || return 0; done
    return 1
}
is_wanted() { matches $1 "${filter%%-*}" && ! { [[ $filter == *-* ]] && matches $1 "${filter#*-}"; }; }
wanted=$(for test in $all; do ! is_wanted $test || echo $test; done)
read -r _ _ _ script _ < /proc/$PPID/stat
echo "[==========] Running $(wc -w <<< "$wanted") tests from 1 test suite."
for test in $wanted; do
    echo "[ RUN      ] $test"
    case "$FAULT $test" in
    "crash CudaBad.A") echo "dying" >&2; kill -SEGV $$ ;;
    "hang CudaBad.A") exec sleep 60 ;;
    "stop CudaBad.A") kill -TERM $script; exec sleep 60 ;;
    "kill CudaBad.A") kill -KILL $script; exit ;;
    "lose CudaBad.A") lost=1 ;;
    esac
    if [ $lost = 1 ]; then
        echo "CUDA device 0: an illegal memory access was encountered (cudaErrorIllegalAddress)"
        result="FAILED  "
    elif [ "$FAULT" = all ]; then
        for line in 1 2 3 4 5 6 7 8 9; do echo "$test differs in $line"; done
        result="FAILED  "
    elif [ "$FAULT $test" = "fail CudaBad.A" ]; then
        echo "blocking ${CUDA_LAUNCH_BLOCKING:-0}, logs $CUDNN_LOGLEVEL_DBG"
        printf '%03000d\n' 1 2 3
        result="FAILED  "
    else
        result="     OK "
    fi
    echo "[  $result] $test (1 ms)"
    [ "$result" = "     OK " ] || status=1
    [ $test = CudaBad.A ] || echo "[----------] 1 test from ${test%.*} (1 ms total)"
done
echo "[==========] 1 test from 1 test suite ran. (9 ms total)"
exit $status)sh";

/// Stand-ins: a scene that writes a plan and prints where it would look for libraries, the tests, and a sanitizer that
/// finds an error.
class StandIns {
public:
    StandIns() {
        std::filesystem::create_directory(folder_ / "back");
        write_program(folder_ / "scene", R"(echo measured > "$XDG_CACHE_HOME/scene/of-$1.plans"
echo "$*" >> ")" + (folder_ / "scene_arguments").string() +
                                             R"("
case "$1 $*" in
synth*) mkdir -p "$2"; exit ;;
prepare*) : > "$3"; exit ;;
info*) echo '{"devices": [{"kind": "cuda", "name": "Test GPU", "libraries": "'"$LD_LIBRARY_PATH"'"}], "build": {}}' ;;
*fp32*) echo "no such precision" >&2; exit 3 ;;
*--ops*)
    echo '[{"name": "a step", "median_ms": 1.5, "ops": ['
    for op in a b c d e f g h i j k l m; do
        echo '{"name": "'$op'", "kind": "of_'$op'", "median_ms": 2, "share_of_roofline": 0.75},'
    done
    echo '{"name": "slow", "kind": "conv2d_forward", "median_ms": 9, "share_of_roofline": 0.5}]}]' ;;
*) echo '[{"name": "a step", "median_ms": 1.5}]' ;;
esac)");
        write_program(folder_ / "tests", gpu_tests);
        write_program(folder_ / "compute-sanitizer",
                      "echo '========= Invalid __global__ write of size 4 bytes'; exit 1");
    }

    /// A stand-in for Nsight Compute that reports two kernels.
    void add_profiler() {
        write_program(folder_ / "ncu", R"(echo "$*" >> ")" + (folder_ / "ncu_arguments").string() + R"("
while [ $# -gt 1 ]; do [ "$1" = --log-file ] && log=$2; shift; done
[ -z "$log" ] || cat > "$log" <<END
==PROF== Connected to process 7
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","7","convolve","dram__bytes_read.sum","byte","1,024"
"0","7","convolve","dram__bytes_write.sum","byte","512"
"1","7","adam","dram__bytes_read.sum","byte","64"
"1","7","adam","dram__bytes_write.sum","byte","0"
END
echo '[]')");
    }

    /// Runs gpu_check.sh. Without Python, which is slow to start, unless `settings` name one.
    Outcome check(const std::string& call, const std::string& settings, const std::string& script = "tools") {
        return shell(
            folder_,
            fmt::format("PATH={0}:\"$PATH\" SCENE={0}/scene GPU_TESTS={0}/tests OUT={0}/back TMPDIR={0} PYTHON=none "
                        "{1} {2}/gpu_check.sh {3}",
                        folder_.path().string(), settings, script, call));
    }
    json report() const { return parse_json(read_text(folder_ / "back" / "report.json")); }
    std::string archived(const std::string& name) const {
        return shell(folder_, fmt::format("tar -xzOf {}/back/logs.tgz logs/{}", folder_.path().string(), name)).out;
    }
    const TemporaryFolder& folder() const { return folder_; }

private:
    TemporaryFolder folder_;
};

/// The names of the parts, in the order in which they ended.
std::vector<std::string> parts_of(const std::string& output) {
    std::vector<std::string> names;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("== ")) names.push_back(line.substr(3, line.find(':') - 3));
    return names;
}

using Names = std::vector<std::string>;

TEST(GpuCheck, ContactGoesFromKernelsToBenchmarks) {
    StandIns programs;
    const Outcome outcome = programs.check("contact", "");
    EXPECT_EQ(parts_of(outcome.out), (Names{"machine", "info", "kernels", "ops", "gradients", "bench_fp16_unfused",
                                            "bits", "bench_fp16_quickest", "bench_logmel", "other_tests"}));
    EXPECT_TRUE(says(outcome.out, "kernels: passed", ": 4 passed, 0 failed, 0 skipped"));
    EXPECT_TRUE(says(outcome.out, "other_tests: passed", ": 1 passed, 0 failed, 0 skipped"))
        << "what no other part has run";
    EXPECT_TRUE(says(outcome.out, "bench_logmel: passed", ": 1.5 ms"));
    EXPECT_TRUE(contains(programs.archived("machine.out"), "LD_LIBRARY_PATH="));
}

TEST(GpuCheck, AfterACrashTheSuitesThatDidNotPassRunApart) {
    StandIns programs;
    const Outcome outcome = programs.check("contact", "FAULT=crash");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(parts_of(outcome.out),
              (Names{"machine", "info", "kernels", "kernels_list", "kernels_CudaBad", "kernels_CudaLast", "ops",
                     "gradients", "bench_fp16_unfused", "again_CudaBad.A", "memcheck_CudaBad.A", "bits",
                     "bench_fp16_quickest", "bench_logmel", "other_tests"}));
    EXPECT_TRUE(
        says(outcome.out, "kernels: killed by signal 11", ": 1 passed, 0 failed, 0 skipped, ended in CudaBad.A"));
    EXPECT_TRUE(
        contains(outcome.out, "\nkernels killed by signal 11\n  CudaBad.A ran when the process ended\n  dying\n"));
    EXPECT_TRUE(
        contains(outcome.out, "\nmemcheck_CudaBad.A failed with exit status 1\n  ========= Invalid __global__"));
    EXPECT_EQ(programs.archived("kernels.log"), "dying\n");
}

TEST(GpuCheck, AfterTheLossOfTheDeviceTheSuitesThatFailedRunApart) {
    StandIns programs;
    const Outcome outcome = programs.check("contact", "FAULT=lose PARTS='kernels*'");
    EXPECT_EQ(parts_of(outcome.out),
              (Names{"machine", "info", "kernels", "kernels_list", "kernels_CudaBad", "kernels_CudaLast"}));
    EXPECT_TRUE(says(outcome.out, "kernels: failed with exit status 1", ": 1 passed, 3 failed, 0 skipped"));
    EXPECT_TRUE(contains(outcome.out, "== kernels_CudaLast: passed")) << "only the first has a fault of its own";
}

TEST(GpuCheck, WhatFailsRunsAgainAloudAndIsKeptWhole) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    const Outcome outcome =
        programs.check("contact", "FAULT=fail PARTS='@(kernels|*CudaBad*|bench_fp32*)' PYTHON=python3");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(parts_of(outcome.out), (Names{"machine", "info", "kernels", "again_CudaBad.A", "memcheck_CudaBad.A"}));
    const json report = programs.report(), parts = report.at("parts");
    EXPECT_EQ(report.at("device"), "Test GPU");
    EXPECT_EQ(parts.at("kernels").at("outcome"), "failed with exit status 1");
    EXPECT_EQ(parts.at("kernels").at("passed"), 3);
    const std::string text = parts.at("kernels").at("failed").at("CudaBad.A"), zeros(2999, '0');
    EXPECT_EQ(text.substr(0, 8000 / 2), ("blocking 0, logs 1\n" + zeros + "1\n" + zeros).substr(0, 4000));
    EXPECT_TRUE(text.ends_with(zeros + "3")) << "the last failure of a test is in the report like the first";
    EXPECT_LT(text.size(), 8100u);
    EXPECT_TRUE(contains(programs.archived("kernels.out"), zeros + "2\n"));
    EXPECT_TRUE(contains(programs.archived("again_CudaBad.A.out"), "blocking 1, logs 3\n"));
}

TEST(GpuCheck, WhatHangsIsStopped) {
    StandIns programs;
    const Outcome outcome = programs.check("contact", "FAULT=hang SECONDS_FOR_TESTS=3 PARTS='@(kernels|ops)'");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_TRUE(says(outcome.out, "kernels: stopped at its limit of 3 s",
                     ": 1 passed, 0 failed, 0 skipped, ended in CudaBad.A"));
    EXPECT_TRUE(contains(outcome.out, "== ops: passed"));
}

TEST(GpuCheck, NoTestsAreNoSuccess) {
    StandIns programs;
    const Outcome renamed = programs.check("contact", "FAULT=rename PARTS='@(ops|bits)'");
    EXPECT_EQ(renamed.status, 1);
    EXPECT_TRUE(says(renamed.out, "ops: passed", ": 1 passed, 0 failed, 0 skipped"));
    EXPECT_TRUE(says(renamed.out, "bits: failed: its filter names no test", ""));
    const Outcome missing = programs.check("contact", "GPU_TESTS=none PARTS=ops");
    EXPECT_EQ(missing.status, 1);
    EXPECT_TRUE(contains(missing.out, "== ops: left out, no none\n"));
}

TEST(GpuCheck, TheReportHasBenchmarksAndTheirErrors) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    const std::string names = "@(bench_fp16_fcnn_train_b256|bench_fp32_fcnn_train_b256)";
    EXPECT_EQ(programs.check("measure", "SECONDS_IN_ALL=570 PYTHON=python3 PARTS='" + names + "'").status, 1);
    const json parts = programs.report().at("parts");
    EXPECT_EQ(parts.size(), 4u) << "with the machine and its information";
    EXPECT_EQ(parts.at("bench_fp16_fcnn_train_b256").at("results").at(0).at("median_ms"), 1.5);
    EXPECT_EQ(parts.at("bench_fp32_fcnn_train_b256").at("outcome"), "failed with exit status 3");
    EXPECT_EQ(parts.at("bench_fp32_fcnn_train_b256").at("output"), json({"no such precision"}));
}

/// The part in fp32 needs more time than is left, and says so; the one in fp16 still runs.
TEST(GpuCheck, WhatNeedsMinutesIsLeftOutWhereThereAreFew) {
    StandIns programs;
    const Outcome outcome = programs.check("measure", "SECONDS_IN_ALL=60 PARTS='bench_*_fcnn_train_b256'");
    EXPECT_TRUE(contains(outcome.out, "== bench_fp16_fcnn_train_b256: passed"));
    EXPECT_TRUE(contains(outcome.out, " s left of 150 needed\n"));
}

/// In order of weight. PyTorch and the profiler are missing here.
TEST(GpuCheck, MeasureGoesFromTheStepToWhatMattersLess) {
    StandIns programs;
    const Outcome outcome = programs.check("measure", "");
    const Names parts = parts_of(outcome.out);
    const Names first = {"machine",
                         "info",
                         "bench_fp16_fcnn_train_b256",
                         "bench_fp16_ops",
                         "pytorch_fp16_eager",
                         "bench_bf16_fcnn_train_b256",
                         "bench_fp16_logmel_b256",
                         "bench_tf32_fcnn_train_b256",
                         "bench_fp16_se_trans_train_b256",
                         "pytorch_fp16_compiled_fcnn_train_b256",
                         "traffic_fp16",
                         "bench_fp16_graph"};
    ASSERT_GE(parts.size(), first.size());
    EXPECT_EQ(Names(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(first.size())), first);
    const std::string calls = read_text(programs.folder() / "scene_arguments");
    for (const char* benchmark :
         {"--precision bf16 --filter fcnn_train_b256", "--precision fp32 --filter fcnn_train_b64",
          "--precision fp16 --filter conv_250x32x144_b256 --ops", "--filter conv_250x32x192_b256 --ops",
          "--filter conv_125x16x288_b256 --ops", "--filter conv_125x16x320_b256 --ops", "/logs/step_fp16.json\n",
          "/logs/graph_fp16.json\n"})
        EXPECT_TRUE(contains(calls, benchmark));
}

TEST(GpuCheck, TheReportHasTheOpsAsATable) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    EXPECT_EQ(programs.check("measure", "PYTHON=python3 PARTS=bench_fp16_ops").status, 0);
    const json ops = programs.report().at("ops");
    ASSERT_EQ(ops.size(), 14u);
    EXPECT_EQ(ops.at(13), json({{"part", "bench_fp16_ops"},
                                {"benchmark", "a step"},
                                {"op", "slow"},
                                {"kind", "conv2d_forward"},
                                {"median_ms", 9}}));
}

/// At most 60 lines behind those of the parts, the first failure first and the slowest op before the others.
TEST(GpuCheck, ItsLastLinesSayWhatToMendFirst) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    const std::string text =
        programs
            .check("contact",
                   "FAULT=all PYTHON=python3 PARTS='@(kernels|ops|gradients|bits|*_unfused|*_tests|*_Cuda*|*_Gpu*)'")
            .out;
    const std::string end = text.substr(text.find('\n', text.rfind("\n== ") + 1) + 1);
    EXPECT_TRUE(end.starts_with("\nkernels failed with exit status 1\n  CudaAdam.A\n    CudaAdam.A differs in 1\n"))
        << end;
    EXPECT_TRUE(contains(end,
                         "a step: the ops that lose the most time to the roofline, ms\n    lost  median  op (kind)\n"
                         "   4.500   9.000  slow (conv2d_forward)\n   0.500   2.000  a (of_a)\n"));
    EXPECT_GT(std::count(end.begin(), end.end(), '\n'), 45) << "little fails here";
    EXPECT_LE(std::count(end.begin(), end.end(), '\n'), 60) << end;
}

/// The clips' number follows from the cores, and they are gone afterwards.
TEST(GpuCheck, TheExperimentFitsItsMinutes) {
    for (const auto& [cores, clips] : {std::pair{16, 8700}, std::pair{2, 1200}}) {
        SCOPED_TRACE(cores);
        StandIns programs;
        write_program(programs.folder() / "nproc", fmt::format("echo {}", cores));
        const Outcome outcome = programs.check("experiment", "");
        const std::string calls = read_text(programs.folder() / "scene_arguments");
        EXPECT_TRUE(contains(calls, fmt::format(" --clips {} --labelled 0.2 --quiet\n", clips)));
        EXPECT_EQ(outcome.out.find("experiment: 1200 clips for 2 cores, where CAS2023 has 8700\n") == std::string::npos,
                  clips == 8700);
        EXPECT_TRUE(contains(outcome.out, "== experiment_data: passed"));
        EXPECT_TRUE(contains(outcome.out, "== experiment_train: passed"));
        const size_t begin = calls.find("synth ") + 6;
        const std::filesystem::path made = calls.substr(begin, calls.find(' ', begin) - begin);
        EXPECT_EQ(made.filename(), "clips");
        EXPECT_FALSE(std::filesystem::exists(made.parent_path())) << made;
    }
}

TEST(GpuCheck, TheProfilersCountersAreAddedUp) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    programs.add_profiler();
    EXPECT_EQ(programs.check("measure", "PARTS=traffic_fp16 PYTHON=python3").status, 0);
    const json traffic = programs.report().at("parts").at("traffic_fp16");
    EXPECT_EQ(traffic.at("outcome"), "passed");
    EXPECT_EQ(traffic.at("kernels"), 2);
    EXPECT_EQ(traffic.at("device_memory_bytes"), 1600);
}

/// Locked clocks would affect everyone on the machine, and a profiler does not see into a forked process.
TEST(GpuCheck, ProfilersLeaveTheClocksAloneAndMeasureInTheirProcess) {
    StandIns programs;
    programs.add_profiler();
    const TemporaryFolder& folder = programs.folder();
    const std::filesystem::path arguments = folder / "ncu_arguments";
    programs.check("measure", "PARTS=traffic_fp16");
    EXPECT_TRUE(contains(read_text(arguments), "--clock-control none "));
    EXPECT_TRUE(contains(read_text(arguments), "bench --in-process "));
}

/// The driver's folder comes first. The stand-in for Python knows of PyTorch's libraries.
TEST(GpuCheck, LibrariesOfPyTorchComeBehindThoseThatAreThere) {
    StandIns programs;
    const TemporaryFolder& folder = programs.folder();
    write_program(folder / "python", "[[ $2 != *glob* ]] || echo /torch/cudnn /torch/cublas");
    programs.check("contact",
                   fmt::format("LD_LIBRARY_PATH=/driver PARTS=none PYTHON={}", (folder / "python").string()));
    EXPECT_TRUE(contains(programs.archived("info.out"), R"("/driver:/torch/cudnn:/torch/cublas")"));
}

/// Runs from a bundle, as on another machine.
TEST(GpuCheck, MeasuredPlansTravelFromCallToCall) {
    StandIns programs;
    const std::filesystem::path root = programs.folder().path(), plans = root / "back" / "cache" / "scene";
    std::filesystem::create_directories(root / "bundle" / "tools");
    std::filesystem::create_directories(root / "cache" / "scene");
    std::filesystem::copy("tools/gpu_check.sh", root / "bundle" / "tools");
    write_text(root / "bundle" / "COMMIT", "0123456789\n");
    write_text(root / "cache" / "scene" / "earlier.plans", "one\n");
    programs.check("contact", "PARTS=bench_logmel", root / "bundle" / "tools");
    EXPECT_EQ(read_text(plans / "earlier.plans"), "one\n");
    EXPECT_EQ(read_text(plans / "of-bench.plans"), "measured\n");
    EXPECT_EQ(programs.archived("commit"), "0123456789\n");
}

TEST(GpuCheck, ItsEvidenceIsThereWhenItIsStopped) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    const Outcome outcome = programs.check("contact", "FAULT=stop PARTS=kernels PYTHON=python3");
    EXPECT_EQ(outcome.status, 143);
    EXPECT_TRUE(
        contains(outcome.out, "\nkernels stopped with the whole call\n  CudaBad.A ran when the process ended\n"));
    EXPECT_TRUE(contains(programs.archived("kernels.out"), "[ RUN      ] CudaBad.A\n"));
    EXPECT_EQ(programs.report().at("parts").at("kernels").at("running"), "CudaBad.A");
}

TEST(GpuCheck, WhatRanBeforeIsThereWhenItIsKilled) {
    if (!has_python()) GTEST_SKIP() << "there is no Python";
    StandIns programs;
    EXPECT_EQ(programs.check("contact", "FAULT=kill PARTS=kernels PYTHON=python3").status, 137);
    EXPECT_TRUE(contains(programs.archived("info.out"), "Test GPU"));
    EXPECT_EQ(programs.report().at("parts").at("kernels").at("outcome"), "unfinished");
}

TEST(GpuCheck, WithoutPythonThereAreLogsAndNoReport) {
    StandIns programs;
    const Outcome outcome = programs.check("contact", "PARTS=kernels");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_TRUE(contains(outcome.out, "\ngpu_check: no report: there is no none\n"));
    EXPECT_TRUE(contains(programs.archived("kernels.out"), "[       OK ] CudaLast.A (1 ms)\n"));
}

TEST(GpuCheck, WhereTheArchiveFindsNoRoomTheLogsStay) {
    StandIns programs;
    write_program(programs.folder() / "tar", "echo 'tar: No space left on device' >&2; exit 2");
    const Outcome outcome = programs.check("contact", "PARTS=kernels");
    EXPECT_EQ(outcome.status, 1);
    const std::string before = "lacks the last parts (tar: No space left on device); the logs stay in ";
    ASSERT_TRUE(contains(outcome.out, before));
    std::filesystem::path logs = outcome.out.substr(outcome.out.find(before) + before.size());
    logs = logs.string().substr(0, logs.string().find('\n'));
    EXPECT_TRUE(contains(read_text(logs / "kernels.out"), "[       OK ] CudaLast.A (1 ms)\n"));
}

} // namespace
} // namespace scene::test
