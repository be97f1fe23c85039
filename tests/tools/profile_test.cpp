// tools/profile.sh, with stand-ins for the program and the profilers that write down how they are called.

#include "tests/tools/stand_in_programs.h"

namespace scene::test {
namespace {

class Profile : public testing::Test {
protected:
    Profile() {
        for (const char* name : {"scene", "nsys", "ncu"}) write_stand_in(name, "echo a table of " + std::string(name));
    }
    void write_stand_in(const std::string& name, const std::string& body) {
        write_program(folder_ / name, fmt::format("echo {} \"$*\" >> {}/calls\n{}", name, root(), body));
    }
    std::string root() const { return folder_.path().string(); }
    Outcome run(const std::string& settings, const std::string& path = "$PATH") const {
        return shell(folder_, fmt::format("PATH={0}:\"{1}\" SCENE={0}/scene {2} tools/profile.sh fcnn_train_b256 fp16 "
                                          "{0}/profile",
                                          root(), path, settings));
    }
    /// How the programs were called, one line each, without the folder.
    std::string calls() const {
        std::string text = read_text(folder_ / "calls");
        for (size_t at; (at = text.find(root() + "/")) != std::string::npos;) text.erase(at, root().size() + 1);
        return text;
    }

    TemporaryFolder folder_;
};

constexpr const char* step = "bench --in-process --device cuda --precision fp16 --filter fcnn_train_b256 --quiet ";

/// The program runs once without a profiler, so that no profiler sees plans being measured. Locked clocks would affect
/// everyone on the machine.
TEST_F(Profile, LooksAtTheWholeStepOnWarmPlans) {
    const Outcome outcome = run("");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    const std::string once = std::string("scene ") + step + "--ops --repetitions 1\n";
    EXPECT_EQ(calls(),
              std::string("scene ") + step +
                  "--ops --repetitions 5 --trace profile/step.json --graph-map profile/graph.json\n"
                  "nsys profile --trace=cuda,nvtx --force-overwrite=true --output profile/fcnn_train_b256-fp16 " +
                  once +
                  "nsys stats --force-export=true --report cuda_gpu_kern_sum:nvtx-name:base --format table "
                  "--filter-nvtx step profile/fcnn_train_b256-fp16.nsys-rep\n"
                  "ncu --clock-control none --nvtx --nvtx-include step/ --metrics "
                  "dram__bytes_read.sum,dram__bytes_write.sum,gpu__time_duration.sum,sm__inst_executed_pipe_tensor.sum "
                  "--force-overwrite --export profile/fcnn_train_b256-fp16 " +
                  once +
                  "ncu --import profile/fcnn_train_b256-fp16.ncu-rep --page details --print-nvtx-rename kernel "
                  "--print-summary per-kernel\n");
    for (const char* table : {"a table of scene\n", "a table of nsys\n", "a table of ncu\n"})
        EXPECT_TRUE(contains(outcome.out, table));
}

TEST_F(Profile, LooksAtOneOpAlone) {
    const Outcome outcome = run("OP='block1.conv2.*'");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(calls().starts_with(std::string("scene ") + step +
                                    "--op block1.conv2.* --repetitions 10 --graph-map profile/graph.json\n"));
    EXPECT_TRUE(contains(calls(), "ncu --clock-control none --nvtx --nvtx-include timed/ --section SpeedOfLight "));
    EXPECT_TRUE(contains(calls(), std::string("scene ") + step + "--op block1.conv2.* --repetitions 1\n"));
    EXPECT_TRUE(contains(calls(), "--filter-nvtx timed "));
}

/// No program is run for a profiler that is missing, but its command is there to be copied.
TEST_F(Profile, WithoutProfilersTheCommandsArePrinted) {
    for (const char* name : {"nsys", "ncu"}) std::filesystem::remove(folder_ / name);
    // The system's programs, but no profiler that the machine may have.
    std::filesystem::create_directory(folder_ / "bin");
    for (const char* name : {"env", "bash", "dirname", "mkdir", "timeout"})
        shell(folder_, fmt::format("ln -s \"$(command -v {0})\" {1}/bin/{0}", name, root()));
    const Outcome outcome = run("", root() + "/bin");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err, "profile: nsys is not installed\nprofile: ncu is not installed\n");
    EXPECT_TRUE(contains(outcome.out, "\n+ nsys profile --trace=cuda,nvtx "));
    EXPECT_TRUE(contains(outcome.out, "\n+ ncu --clock-control none "));
    EXPECT_EQ(calls().find("nsys"), std::string::npos);
}

/// What gpu_check.sh gives to the program: the plans beside the bundle and the libraries of PyTorch.
TEST_F(Profile, InABundleItTakesPlansAndLibraries) {
    write_stand_in("scene", "echo \"plans $XDG_CACHE_HOME libraries $LD_LIBRARY_PATH\"");
    write_program(folder_ / "python", "echo /torch/cudnn /torch/cublas");
    const std::filesystem::path bundle = folder_ / "bundle";
    std::filesystem::create_directories(bundle / "tools");
    std::filesystem::create_directory(folder_ / "cache");
    std::filesystem::copy("tools/profile.sh", bundle / "tools");
    write_text(bundle / "COMMIT", "0123456789\n");
    const Outcome outcome = shell(folder_, fmt::format("PATH={0}:\"$PATH\" SCENE={0}/scene PYTHON={0}/python "
                                                       "LD_LIBRARY_PATH=/driver {0}/bundle/tools/profile.sh",
                                                       root()));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(
        contains(outcome.out, "plans " + root() + "/bundle/../cache libraries /driver:/torch/cudnn:/torch/cublas\n"));
    EXPECT_TRUE(std::filesystem::exists(bundle / "build" / "profile"));
}

TEST_F(Profile, AStepThatDoesNotRunIsNotProfiled) {
    write_stand_in("scene", "echo 'scene: no GPU' >&2; exit 1");
    const Outcome outcome = run("");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err, "scene: no GPU\nprofile: " + root() + "/scene ended with status 1\n");
    EXPECT_EQ(calls().find("ncu"), std::string::npos);
}

TEST_F(Profile, AProfilerThatHangsIsStopped) {
    write_stand_in("nsys", "exec sleep 60");
    const Outcome outcome = run("SECONDS_IN_ALL=4");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_TRUE(outcome.err.starts_with("profile: nsys was stopped after ")) << outcome.err;
}

TEST_F(Profile, AFolderThatCannotBeMadeIsOneLine) {
    write_text(folder_ / "profile", "a file");
    const Outcome outcome = run("");
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err, "profile: cannot make the folder " + root() + "/profile; choose another\n");
}

} // namespace
} // namespace scene::test
