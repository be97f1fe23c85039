#pragma once

#include <string>

#include "kernels/device.h"
#include "kernels/files/json.h"

namespace scene {

/// {"kept", "choices": [{"pass", "engine", "microseconds", "ran", "failures"}]}
nlohmann::ordered_json to_json(const ConvReport& report);

/// One line about engines that failed; empty if none did.
std::string failures_line(const ConvReport& report);

/// A table of the engines that ran, or with `all` of every choice, then the failures and where the choices are kept.
std::string text_of(const ConvReport& report, bool all);

} // namespace scene
