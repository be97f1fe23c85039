#pragma once

#include <string>

#include "kernels/device.h"
#include "kernels/files/json.h"

namespace scene {

/// {"kept", "autotune": {"budget_seconds", "spent_seconds", "left_out"}, "choices": [{"pass", "engine", "microseconds",
/// "ran", "failures", "left_out"}]}
nlohmann::ordered_json to_json(const ConvReport& report);

/// One line about engines that failed; empty if none did.
std::string failures_line(const ConvReport& report);

/// One line about engines for which there was no time; empty if there are none.
std::string left_out_line(const ConvReport& report);

/// A table of the engines that ran, or with `all` of every choice, then the failures, the time that the choice took and
/// where the choices are kept.
std::string text_of(const ConvReport& report, bool all);

} // namespace scene
