#pragma once

#include <chrono>
#include <functional>
#include <utility>

namespace scene::cuda {

/// The time that autotuning may take for one step.
class AutotuneBudget {
public:
    /// `seconds`: 0 for no limit. `clock`: seconds since any moment.
    explicit AutotuneBudget(double seconds, std::function<double()> clock = steady_seconds)
        : seconds_(seconds), clock_(std::move(clock)), begin_(clock_()) {}

    /// From now on the time counts for the next step.
    void begin_step() { begin_ = clock_(); }
    /// 0: no limit.
    double seconds() const { return seconds_; }
    double spent() const { return clock_() - begin_; }
    /// Whether `more` seconds are left.
    bool allows(double more) const { return seconds_ == 0 || spent() + more < seconds_; }

private:
    static double steady_seconds() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }

    double seconds_;
    std::function<double()> clock_;
    double begin_;
};

} // namespace scene::cuda
