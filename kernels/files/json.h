#pragma once

// nlohmann's JSON. To parse and to dump it takes seconds to compile in every file that does, so json.cpp does it for
// all.

#include <stdexcept>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

extern template std::string nlohmann::basic_json<>::dump(int, char, bool, nlohmann::detail::error_handler_t) const;
extern template std::string nlohmann::basic_json<nlohmann::ordered_map>::dump(int, char, bool,
                                                                              nlohmann::detail::error_handler_t) const;

namespace scene {

/// Throws nlohmann::json::parse_error where `text` is not JSON.
nlohmann::json parse_json(std::string_view text);

/// The same; members keep their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text);

/// Where `text` is not JSON, a value that is_discarded(). `watch` sees every event of the parser.
nlohmann::json try_parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch = nullptr);

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
