#pragma once

#include <atomic>

namespace scene {

/// After SIGINT (Ctrl-C) or SIGTERM the process ends at once with 130 or 143, unless there is a GracefulStop. SIGPIPE
/// and SIGXFSZ are ignored, so that the write fails and unfinished files are removed.
void install_signal_handlers();

/// While one exists, the first signal only sets flag(), so that work stops between two steps with everything saved. A
/// second signal ends the process at once.
class GracefulStop {
public:
    GracefulStop();
    ~GracefulStop();
    GracefulStop(const GracefulStop&) = delete;
    GracefulStop& operator=(const GracefulStop&) = delete;

    const std::atomic<bool>& flag() const;
};

/// 128 + the last signal: the exit status of an interrupted command.
int signal_exit_status();

} // namespace scene
