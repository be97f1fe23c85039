#include "tools/cli/progress_display.h"

#include <algorithm>

#include <unistd.h>

#include "tools/cli/note.h"
#include "tools/cli/standard_streams.h"

namespace scene {
namespace {

constexpr int bar_cells = 24;
constexpr std::chrono::milliseconds terminal_interval{100}, plain_interval{10000};

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

} // namespace

std::string duration_text(double seconds) {
    if (seconds < 60) return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<int64_t>(seconds + 0.5);
    if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

ProgressDisplay::ProgressDisplay(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressDisplay::~ProgressDisplay() { clear_bar(); }

void ProgressDisplay::begin(const std::string& what, int64_t total) {
    what_ = what;
    total_ = total;
    done_ = 0;
    start_ = last_drawn_ = Clock::now();
}

void ProgressDisplay::advance(int64_t done) {
    done_ = done;
    if (quiet_ || total_ <= 0) return;
    const Clock::time_point now = Clock::now();
    if (now - last_drawn_ < (terminal_ ? terminal_interval : plain_interval)) return;
    last_drawn_ = now;
    draw();
}

void ProgressDisplay::draw() {
    say_notes();
    const double elapsed = seconds_between(start_, last_drawn_);
    const double share = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    std::string numbers = fmt::format("{}/{}", done_, total_);
    if (done_ >= total_)
        numbers += fmt::format(", {}", duration_text(elapsed));
    else if (done_ > 0 && elapsed > 0)
        numbers +=
            fmt::format(", {:.1f}/s, {} left", static_cast<double>(done_) / elapsed,
                        duration_text(elapsed / static_cast<double>(done_) * static_cast<double>(total_ - done_)));
    if (!terminal_) {
        say(fmt::format("{}: {}\n", what_, numbers));
        return;
    }
    const int filled = static_cast<int>(share * bar_cells);
    say(fmt::format("\r\033[K{} [{}{}] {:3.0f} %  {}", what_, std::string(static_cast<size_t>(filled), '='),
                    std::string(static_cast<size_t>(bar_cells - filled), ' '), 100 * share, numbers));
    bar_visible_ = true;
}

void ProgressDisplay::clear_bar() {
    if (!bar_visible_) return;
    say("\r\033[K");
    bar_visible_ = false;
}

void ProgressDisplay::end() { clear_bar(); }

void ProgressDisplay::epoch(const EpochRecord& record, const std::string& whose) {
    const std::string labelled =
        record.stage < 2 ? "" : fmt::format(" (labelled only {:.3f})", record.validation_labelled);
    message(fmt::format("{}stage {} epoch {:2}  loss {:.4f}  train {:.3f}  validation {:.3f}{}{}  {:.1f} clips/s",
                        whose, record.stage, record.epoch, record.train_loss, record.train_balanced_accuracy,
                        record.validation_balanced_accuracy, labelled, record.best ? " best" : "     ",
                        record.clips_per_second));
}

void ProgressDisplay::message(const std::string& line) {
    if (quiet_) return;
    clear_bar();
    say_notes();
    say(line + "\n");
}

} // namespace scene
