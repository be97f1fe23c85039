// The `scene` command: parses the command line, runs one subcommand and turns every error into one line on stderr.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <string_view>
#include <system_error>

#include <unistd.h>

#include "kernels/error.h"
#include "tools/cli/note.h"
#include "tools/cli/standard_streams.h"
#include "tools/cli/stop.h"
#include "tools/cli/version.h"
#include "tools/commands/command.h"
#include "train/progress.h"

namespace {

constexpr int exit_error = 1, exit_usage = 2;

#if defined(__x86_64__)
/// Runs before every initialiser of the program. Only this file is compiled for any x86-64 (Makefile): all others may
/// use the instructions of x86-64-v2, at which an older processor would die without a message.
__attribute__((constructor(101))) void refuse_processors_before_v2() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt")) return;
    constexpr std::string_view line = "scene: this processor has no SSE4.2 and POPCNT (x86-64-v2); build scene on it "
                                      "with make ISAS=native ARCH=native\n";
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) _exit(exit_error);
    _exit(exit_error);
}
#endif

/// Writes `message` as one line to stderr: messages of libraries may contain line breaks.
int report(std::string message, int status) {
    message.erase(message.find_last_not_of("\n ") + 1);
    scene::say(fmt::format("scene: {}\n", scene::one_line(std::move(message))));
    return status;
}

/// `error` is the errno of a write to stdout. A reader that has closed the pipe (| head) is no error to report: the
/// status is that of a command that SIGPIPE ended.
int report_output(int error) {
    if (error == EPIPE) return 128 + SIGPIPE;
    const std::string_view advice = error == ENOSPC || error == EDQUOT ? "free some space or send it elsewhere"
                                    : error == EBADF                   ? "it is closed"
                                    : error == EFBIG ? "raise the limit of file sizes (ulimit -f) or send it elsewhere"
                                                     : "send it elsewhere";
    return report(fmt::format("standard output: cannot write ({}); {}", std::strerror(error), advice), exit_error);
}

/// Runs the work and turns whatever it throws into one line and a status.
int run(const std::function<int()>& work) {
    try {
        const int status = work();
        scene::flush_standard_output();
        scene::say_notes();
        return status;
    } catch (const scene::UsageError& error) {
        return report(error.what(), exit_usage);
    } catch (const scene::Interrupted& error) {
        return report(error.what(), scene::signal_exit_status());
    } catch (const scene::Error& error) {
        return report(error.what(), exit_error);
    } catch (const std::filesystem::filesystem_error& error) {
        const std::string path = error.path1().string();
        return report(fmt::format("{}{}; check the path and its permissions", path.empty() ? path : path + ": ",
                                  error.code().message()),
                      exit_error);
    } catch (const std::bad_alloc&) {
        return report("out of memory; use a smaller batch or fewer threads", exit_error);
    } catch (const std::system_error& error) {
        if (std::ferror(stdout)) return report_output(error.code().value());
        return report(fmt::format("the system refused: {}; check its limits (ulimit -a)", error.what()), exit_error);
    } catch (const std::exception& error) {
        return report(fmt::format("internal error, please report it: {}", error.what()), exit_error);
    }
}

} // namespace

int main(int argc, char** argv) {
    scene::open_standard_streams();
    scene::install_signal_handlers();
    scene::CommandLine line("Trains and runs acoustic-scene classifiers: audio in, scene labels out.",
                            "Each command has its own --help with an example.\n"
                            "First steps:\n"
                            "  scene synth   scenes --clips 400\n"
                            "  scene prepare scenes scenes.store\n"
                            "  scene train   scenes.store --config configs/demo.toml --run runs/demo\n"
                            "  scene predict runs/demo/best_model_2.safetensors recording.wav",
                            fmt::format("scene {}", scene::version));
    scene::add_synth_command(line);
    scene::add_prepare_command(line);
    scene::add_audit_command(line);
    scene::add_train_command(line);
    scene::add_table1_command(line);
    scene::add_evaluate_command(line);
    scene::add_predict_command(line);
    scene::add_plan_command(line);
    scene::add_bench_command(line);
    scene::add_info_command(line);
    return run([&] {
        const std::function<int()> work = line.parse(argc, argv);
        return work ? work() : 0;
    });
}
