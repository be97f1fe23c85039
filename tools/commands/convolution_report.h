#pragma once

#include <string>

#include "kernels/device.h"
#include "kernels/files/json.h"

namespace scene {

/// {"kept", "choices": [{"pass", "engine", "microseconds", "ran", "failures"}]}
nlohmann::ordered_json to_json(const ConvReport& report);

/// One line about the engines that did not run; empty where all did.
std::string failures_line(const ConvReport& report);

/// A table of what ran, with `all` also of what was only known, then what failed.
std::string text_of(const ConvReport& report, bool all);

} // namespace scene
