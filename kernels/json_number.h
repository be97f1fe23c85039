#pragma once

#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace scene {

/// `value` as a whole number that T can hold; std::out_of_range otherwise. nlohmann-json's own get<T>() also takes 1.5,
/// true and 2^32 + 1, all of them as 1.
template <typename T, typename Json> T whole_number(const Json& value) {
    if (value.is_number_unsigned()) {
        const auto number = value.template get<uint64_t>();
        if (std::in_range<T>(number)) return static_cast<T>(number);
    } else if (value.is_number_integer()) {
        const auto number = value.template get<int64_t>();
        if (std::in_range<T>(number)) return static_cast<T>(number);
    }
    throw std::out_of_range("not a whole number in range");
}

} // namespace scene
