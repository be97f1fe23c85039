#pragma once

// Which of several ways to compute the same thing is the quickest on this device.

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace scene::cuda {

/// The device is lost to this process: after a kernel's fault (an illegal access, say) every call returns the same
/// error.
class BrokenDevice : public Error {
public:
    using Error::Error;
};

struct Trial {
    std::string name;
    std::function<double()> run; ///< runs once and returns the device's seconds; throws Error if it does not run
};

struct Quickest {
    size_t index = 0;
    double seconds = 0;
    std::string failures; ///< the trials that did not run, grouped by message, in one line
};

/// An idle device needs some time to raise its clocks. The host waits for each run, so the number of short runs is
/// limited.
constexpr double warm_up_seconds = 0.05;
constexpr int most_warm_up_runs = 1000;

/// The quickest of the trials. The first one that runs warms the device up. Then the trials take turns in two rounds,
/// so that none gains by its position: in a round each runs once untimed and three times timed, of which the median
/// counts. A trial's time is the better of its two medians.
///
/// A trial that throws Error drops out. If `device_is_broken` then says that all others would fail too, BrokenDevice is
/// thrown. Throws Error if no trial runs.
inline Quickest quickest_of(const std::vector<Trial>& trials, const std::function<bool()>& device_is_broken) {
    constexpr double never = std::numeric_limits<double>::infinity();
    std::vector<double> best(trials.size(), never);
    std::vector<bool> failed(trials.size());
    std::vector<std::pair<std::string, std::string>> failures; // message, names of the trials
    double warm = 0;
    int warm_up_runs = 0;
    const auto time = [&](const Trial& trial) {
        while (warm < warm_up_seconds && warm_up_runs < most_warm_up_runs) {
            ++warm_up_runs;
            const double seconds = trial.run();
            warm += seconds > 0 ? seconds : warm_up_seconds; // the emulator has no clock
        }
        trial.run();
        std::array<double, 3> seconds{};
        for (double& one : seconds) one = trial.run();
        std::sort(seconds.begin(), seconds.end());
        return seconds[1];
    };
    for (int round = 0; round < 2; ++round) {
        for (size_t i = 0; i < trials.size(); ++i) {
            if (failed[i]) continue;
            try {
                best[i] = std::min(best[i], time(trials[i]));
            } catch (const Error& error) {
                if (device_is_broken())
                    throw BrokenDevice(fmt::format("{} broke the device, and nothing runs on it any more: {}",
                                                   trials[i].name, error.what()));
                failed[i] = true;
                best[i] = never;
                const auto said = std::find_if(failures.begin(), failures.end(),
                                               [&](const auto& known) { return known.first == error.what(); });
                if (said == failures.end()) {
                    failures.emplace_back(error.what(), trials[i].name);
                } else {
                    said->second += ", " + trials[i].name;
                }
            }
        }
    }
    std::string text;
    for (const auto& [what, who] : failures) text += (text.empty() ? "" : "; ") + who + ": " + what;
    const auto first = std::min_element(best.begin(), best.end());
    if (first == best.end() || *first == never) fail("{}", text.empty() ? "there is nothing to try" : text);
    return {static_cast<size_t>(first - best.begin()), *first, text};
}

} // namespace scene::cuda
