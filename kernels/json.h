#pragma once

// nlohmann's JSON. Its templates take seconds in every file that instantiates them, so json.cpp does it for all.

#include <string_view>

#include <nlohmann/json.hpp>

extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace scene {

/// Throws nlohmann::json::parse_error where `text` is not JSON.
nlohmann::json parse_json(std::string_view text);

/// The same; members keep their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text);

/// Where `text` is not JSON, a value that is_discarded(). `watch` sees every event of the parser.
nlohmann::json try_parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch = nullptr);

} // namespace scene
