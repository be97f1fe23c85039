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

/// After a fault of a kernel a device answers every call of the process with the same error.
class BrokenDevice : public Error {
public:
    using Error::Error;
};

struct Trial {
    std::string name;
    std::function<double()> run; ///< runs it once; the seconds that the device took. Throws Error where it does not run
};

struct Quickest {
    size_t index = 0;
    double seconds = 0;
    std::string failures; ///< the trials that did not run, by what they said, in one line
};

/// A device that was idle needs some time to raise its clocks; of short runs so many will do, each of which the host
/// waits for.
constexpr double warm_up_seconds = 0.05;
constexpr int most_warm_up_runs = 1000;

/// The first trial that runs warms the device up. Then there are two rounds, in which all trials take turns, so that
/// none gains by its place: each runs once and then three times, of which the median counts. A trial's time is the
/// better one of its rounds'. A trial that fails drops out, unless `device_is_broken` says that the others would
/// fail for its sake: then BrokenDevice is thrown. Throws Error where none runs.
inline Quickest quickest_of(const std::vector<Trial>& trials, const std::function<bool()>& device_is_broken) {
    constexpr double never = std::numeric_limits<double>::infinity();
    std::vector<double> best(trials.size(), never);
    std::vector<bool> failed(trials.size());
    std::vector<std::pair<std::string, std::string>> failures; // what was said, and by whom
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
