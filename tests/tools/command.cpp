#include "tests/tools/command.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace scene::test {

std::filesystem::path scene_binary() {
    if (const char* given = std::getenv("SCENE_BINARY")) return given;
    return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "scene";
}

Command::Command(const std::vector<std::string>& arguments, const std::string& input) {
    write_text(folder_ / "in", input);
    const std::string program = scene_binary().string(), in = folder_ / "in", out = folder_ / "out",
                      err = folder_ / "err";
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, in.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
    const int error = posix_spawn(&process_, program.c_str(), &files, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::runtime_error("cannot run " + program);
}

Command::~Command() {
    if (running()) {
        kill(process_, SIGKILL);
        waitpid(process_, &wait_status_, 0);
    }
}

bool Command::interrupt_while(const std::function<bool()>& now) {
    while (running()) {
        kill(process_, SIGSTOP);
        ended_ = waitpid(process_, &wait_status_, WUNTRACED) != process_ || !WIFSTOPPED(wait_status_);
        if (ended_) return false;
        const bool wanted = now();
        if (wanted) kill(process_, SIGINT);
        kill(process_, SIGCONT);
        if (wanted) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

bool Command::running() {
    if (!ended_) ended_ = waitpid(process_, &wait_status_, WNOHANG) != 0;
    return !ended_;
}

Outcome Command::wait() {
    while (running()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const int status = WIFEXITED(wait_status_) ? WEXITSTATUS(wait_status_) : 128 + WTERMSIG(wait_status_);
    return {status, read_text(folder_ / "out"), read_text(folder_ / "err")};
}

Outcome scene_command(const std::vector<std::string>& arguments, const std::string& input) {
    return Command(arguments, input).wait();
}

testing::AssertionResult is_one_error_line(const std::string& text) {
    if (!text.starts_with("scene: ") || text.find('\n') != text.size() - 1)
        return testing::AssertionFailure() << "not one line that begins with 'scene: ': " << text;
    return testing::AssertionSuccess();
}

testing::AssertionResult fails_with(const Outcome& outcome, int status, const std::string& part) {
    if (outcome.status != status)
        return testing::AssertionFailure()
               << "exit " << outcome.status << " where " << status << " is expected: " << outcome.err;
    if (outcome.err.find(part) == std::string::npos)
        return testing::AssertionFailure() << "'" << part << "' is not in: " << outcome.err;
    return is_one_error_line(outcome.err);
}

} // namespace scene::test
