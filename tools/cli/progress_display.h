#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "train/progress.h"

namespace scene {

/// Progress on stderr: on a terminal a bar that redraws itself, elsewhere a line at most every ten seconds. Each epoch
/// and each message has a line. `quiet`: nothing at all.
class ProgressDisplay final : public Progress {
public:
    explicit ProgressDisplay(bool quiet);
    ~ProgressDisplay() override;

    void begin(const std::string& what, int64_t total) override;
    void advance(int64_t done) override;
    void end() override;
    void epoch(const EpochRecord& record, const std::string& whose) override;
    void message(const std::string& line) override;

private:
    using Clock = std::chrono::steady_clock;

    void draw();
    void clear_bar();

    bool quiet_, terminal_;
    bool bar_visible_ = false;
    std::string what_;
    int64_t total_ = 0, done_ = 0;
    Clock::time_point start_, last_drawn_;
};

/// "7.3 s", "4:05", "1:02:33"
std::string duration_text(double seconds);

} // namespace scene
