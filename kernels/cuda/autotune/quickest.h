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
    double seconds = 0;   ///< 0: the time was up before any trial could be measured
    int not_measured = 0; ///< trials that had no turn before the time was up
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
/// Once `time_is_up`, no further trial begins; what was measured until then counts. Then a trial may have had one round
/// or none. If none was measured, the first that did not fail is taken.
///
/// A trial that throws Error drops out. If `device_is_broken` then says that all others would fail too, BrokenDevice is
/// thrown. Throws Error if no trial runs.
inline Quickest quickest_of(
    const std::vector<Trial>& trials, const std::function<bool()>& device_is_broken,
    const std::function<bool()>& time_is_up = [] { return false; }) {
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
            if (failed[i] || time_is_up()) continue;
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
    int not_measured = 0;
    for (size_t i = 0; i < trials.size(); ++i) not_measured += !failed[i] && best[i] == never;
    const auto first = std::min_element(best.begin(), best.end());
    if (first != best.end() && *first != never)
        return {static_cast<size_t>(first - best.begin()), *first, not_measured, text};
    const auto whole = std::find(failed.begin(), failed.end(), false);
    if (whole == failed.end()) fail("{}", text.empty() ? "there is nothing to try" : text);
    return {static_cast<size_t>(whole - failed.begin()), 0, not_measured, text};
}

} // namespace scene::cuda
