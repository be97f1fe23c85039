#include "tools/cli/stop.h"

#include <csignal>
#include <cstring>

#include <unistd.h>

namespace scene {
namespace {

std::atomic<bool> stop{false};
std::atomic<bool> graceful{false};
std::atomic<int> last_signal{SIGINT};

void on_signal(int signal) {
    last_signal = signal;
    if (graceful && !stop.exchange(true)) return;
    _exit(128 + signal);
}

} // namespace

void install_signal_handlers() {
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
    sigaction(SIGXFSZ, &action, nullptr);
}

GracefulStop::GracefulStop() { graceful = true; }
GracefulStop::~GracefulStop() { graceful = false; }

const std::atomic<bool>& GracefulStop::flag() const { return stop; }

int signal_exit_status() { return 128 + last_signal; }

} // namespace scene
