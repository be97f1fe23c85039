#pragma once

// nlohmann's JSON. Its parser and dump() take long to compile, so that they are instantiated in json.cpp alone.

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

extern template std::string nlohmann::basic_json<>::dump(int, char, bool, nlohmann::detail::error_handler_t) const;
extern template std::string nlohmann::basic_json<nlohmann::ordered_map>::dump(int, char, bool,
                                                                              nlohmann::detail::error_handler_t) const;

namespace scene {

/// Throws nlohmann::json::parse_error if `text` is not JSON.
nlohmann::json parse_json(std::string_view text);

/// The same; the members of objects keep their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text);

/// The same, but returns a value that is_discarded() if `text` is not JSON. `watch` is called at every parser event.
nlohmann::json try_parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch = nullptr);

/// JSON for output, on one line or indented by two. NaN and infinity become null. Strings are file names, too, which
/// need not be UTF-8: what is not becomes U+FFFD.
template <typename Json> std::string json_line(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}
template <typename Json> std::string json_text(const Json& value) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

/// `value` as an integer. Throws std::out_of_range if it is not an integer or does not fit T. (nlohmann-json's get<T>()
/// turns 1.5, true and, for a T of 32 bits, 2^32 + 1 into 1.)
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
