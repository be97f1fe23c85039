#pragma once

// Runs the `scene` binary as a user does.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/types.h>

#include "tests/support/temporary_folder.h"

namespace scene::test {

/// The program under test: SCENE_BINARY, or build/scene where this program is build/tests/tools_tests.
std::filesystem::path scene_binary();

struct Outcome {
    int status = -1; ///< exit status; 128 + signal if a signal ended it
    std::string out, err;
};

/// A running `scene`. Its output goes to files, so it never blocks.
class Command {
public:
    explicit Command(const std::vector<std::string>& arguments, const std::string& input = "");
    ~Command();
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;

    /// Sends SIGINT as soon as `now` is true. `now` is called while the process is stopped, so that nothing happens
    /// between the answer and the signal. False if the command ended before.
    bool interrupt_while(const std::function<bool()>& now);
    bool running();
    Outcome wait();

private:
    TemporaryFolder folder_;
    pid_t process_ = -1;
    bool ended_ = false;
    int wait_status_ = 0;
};

/// Runs `scene` with the arguments to its end.
Outcome scene_command(const std::vector<std::string>& arguments, const std::string& input = "");

/// True when `text` is one line that begins with "scene: ".
testing::AssertionResult is_one_error_line(const std::string& text);

/// Succeeds when the command ended with `status` and one error line that contains `part`.
testing::AssertionResult fails_with(const Outcome& outcome, int status, const std::string& part);

} // namespace scene::test
