#pragma once

#include <atomic>

namespace scene {

/// What SIGINT (Ctrl-C) and SIGTERM do: the process ends at once with 130 or 143, unless a GracefulStop lives.
/// Closed pipes and limits of file sizes are errors of the write, so that what is half done is cleaned up.
void install_signal_handlers();

/// While it lives, the first signal only sets `flag`, so that work stops between two steps with everything saved; a
/// second one ends the process at once.
class GracefulStop {
public:
    GracefulStop();
    ~GracefulStop();
    GracefulStop(const GracefulStop&) = delete;
    GracefulStop& operator=(const GracefulStop&) = delete;

    const std::atomic<bool>& flag() const;
};

/// 128 + the last signal; what an interrupted command exits with.
int signal_exit_status();

} // namespace scene
