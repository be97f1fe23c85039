#pragma once

#include <string_view>

namespace scene {

constexpr std::string_view version = "0.1.0";

} // namespace scene
