// Full disks and closed pipes, wherever the output goes: one line, a status that is not 0, and nothing half written.

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;

/// Runs scripts of `sh` in a folder of its own. `scene` is the program under test; $audio, $store, $config and $run are
/// the small run's, $clip is one of its files. A script's stdout and stderr are redirected to files.
class Shell {
public:
    Outcome operator()(const std::string& script) const {
        const SmallRun& small = small_run();
        write_text(scratch_ / "script", "scene() { '" + scene_binary().string() + "' \"$@\"; }\naudio='" + small.audio +
                                            "' store='" + small.store + "' config='" + small.config + "' run='" +
                                            small.run + "'\nclip=$(ls -d $audio/audio/* | head -1)\n" + script + "\n");
        const std::string scratch = scratch_.path().string(), folder = folder_.path().string();
        const int status = std::system(("cd '" + folder + "' && sh '" + scratch + "/script' > '" + scratch +
                                        "/out' 2> '" + scratch + "/err' < /dev/null")
                                           .c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(scratch_ / "out"),
                read_text(scratch_ / "err")};
    }
    fs::path operator/(const std::string& name) const { return folder_ / name; }

    /// Temporary files, which only a killed process may leave.
    std::vector<std::string> unfinished() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
            if (entry.path().string().find(".tmp") != std::string::npos) names.push_back(entry.path().string());
        return names;
    }

private:
    TemporaryFolder scratch_, folder_;
};

const std::string train = "scene train -q $store --config $config --split simulation --run ";
const std::string prepare = "scene prepare -q $audio store --seconds 1";
const std::string synth = "scene synth -q made --clips 12 --seconds 1";
const std::string evaluate = "scene evaluate -q $run $store";
const std::string predict = "scene predict -q $run/best_model_2.safetensors $clip";

/// One command line for every kind of output. None of them writes to stderr unless it fails.
const std::vector<std::string> command_lines = {"scene --version",
                                                "scene --help",
                                                "scene train --help",
                                                "scene info",
                                                "scene info --json",
                                                "scene plan -q --config $config",
                                                "scene plan -q --json --config $config",
                                                synth,
                                                prepare,
                                                "scene audit -q $audio",
                                                train + "$run",
                                                train + "$run --json",
                                                evaluate,
                                                evaluate + " --json",
                                                predict,
                                                predict + " --json",
                                                predict + " --format csv",
                                                predict + " --format jsonl",
                                                "echo 'run logmel' | scene bench -q --serve"};

/// Some of them: one for each way in which output is written.
const std::vector<std::string> quick_lines = {"scene --version", "scene train --help", "scene info --json",
                                              predict + " --format csv"};

TEST(Output, AFullDeviceBehindStdoutIsOneLineForEveryCommand) {
    for (const std::string& line : command_lines)
        EXPECT_TRUE(
            fails_with(Shell()(line + " > /dev/full"), 1, "standard output: cannot write (No space left on device)"))
            << line;
}

TEST(Output, AClosedStdoutIsOneLine) {
    for (const std::string& line : quick_lines)
        EXPECT_TRUE(fails_with(Shell()(line + " >&-"), 1, "standard output: cannot write (Bad file descriptor)"))
            << line;
}

/// Like `scene ... | head -1`, with a reader that has closed the pipe before the command starts.
TEST(Output, APipeThatNobodyReadsEndsTheCommandQuietly) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    close(ends[0]);
    ASSERT_EQ(dup2(ends[1], 9), 9); // a number that every shell takes in a redirection
    close(ends[1]);
    for (const std::string& line : quick_lines) {
        const Outcome outcome = Shell()(line + " >&9");
        EXPECT_EQ(outcome.status, 128 + SIGPIPE) << line;
        EXPECT_EQ(outcome.err, "") << line;
    }
    EXPECT_EQ(Shell()("scene info 2>&9").status, 0);
    EXPECT_EQ(Shell()("scene listen 2>&9").status, 2);
    close(9);
}

TEST(Output, AStderrThatTakesNothingChangesNoStatus) {
    for (const std::string stderr_is : {" 2> /dev/full", " 2>&-"}) {
        const Shell shell;
        EXPECT_EQ(shell("scene listen" + stderr_is).status, 2) << stderr_is;
        EXPECT_EQ(shell("scene plan --config none" + stderr_is).status, 1) << stderr_is;
        EXPECT_EQ(shell("scene info > /dev/full" + stderr_is).status, 1) << stderr_is;
        const Outcome trained =
            shell("scene train $store --config $config --split simulation --run run" + stderr_is); // with progress
        EXPECT_EQ(trained.status, 0) << stderr_is;
        EXPECT_NE(trained.out.find("best model"), std::string::npos) << stderr_is;
        // With stderr closed, the next file that is opened would get its descriptor, and then our messages.
        for (const auto& entry : fs::recursive_directory_iterator(shell / "run"))
            EXPECT_EQ(read_text(entry.path()).find("stage 1 epoch  1  loss"), std::string::npos) << entry.path();
    }
}

TEST(Output, AFileThatMayNotGrowIsOneLineAndLeavesNothingHalfWritten) {
    const Shell shell;
    const auto limited = [&](int blocks, const std::string& line) {
        return shell("ulimit -f " + std::to_string(blocks) + "\n" + line);
    };
    fs::create_directory(shell / "out");
    EXPECT_TRUE(fails_with(limited(1, evaluate + " --out out > /dev/null"), 1, "out/confusion."));
    EXPECT_TRUE(fails_with(limited(8, prepare), 1, "store: cannot write"));
    EXPECT_FALSE(fs::exists(shell / "store"));
    EXPECT_TRUE(fails_with(limited(8, synth), 1, "made: cannot write"));
    EXPECT_FALSE(fs::exists(shell / "made"));
    EXPECT_TRUE(fails_with(limited(64, train + "run"), 1, "run/"));
    EXPECT_EQ(shell.unfinished(), std::vector<std::string>());
    EXPECT_TRUE(
        fails_with(limited(1, "scene info --json > info"), 1, "standard output: cannot write (File too large)"));
    EXPECT_EQ(shell(train + "run").status, 0) << "the folder can be gone on with";
}

TEST(Output, AFolderThatTakesNoFilesIsOneLine) {
    const Shell shell; // /proc takes no files, not even root's
    EXPECT_TRUE(fails_with(shell(evaluate + " --out /proc/scene"), 1, "/proc/scene"));
    EXPECT_TRUE(fails_with(shell("scene prepare -q $audio /proc/scene --seconds 1"), 1, "/proc/scene"));
    EXPECT_TRUE(fails_with(shell("scene synth -q /proc/scene --clips 12 --seconds 1"), 1, "/proc/scene"));
    EXPECT_TRUE(fails_with(shell(train + "/proc/scene"), 1, "/proc/scene"));
    EXPECT_TRUE(fails_with(shell("TMPDIR=/proc/scene; export TMPDIR; " + evaluate + " --untrained"), 1, "/proc/scene"));
}

} // namespace
} // namespace scene::test
