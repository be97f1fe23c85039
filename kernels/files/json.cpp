#include "kernels/files/json.h"

template std::string nlohmann::basic_json<>::dump(int, char, bool, nlohmann::detail::error_handler_t) const;
template std::string nlohmann::basic_json<nlohmann::ordered_map>::dump(int, char, bool,
                                                                       nlohmann::detail::error_handler_t) const;

namespace scene {

nlohmann::json parse_json(std::string_view text) { return nlohmann::json::parse(text.begin(), text.end()); }

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
    return nlohmann::ordered_json::parse(text.begin(), text.end());
}

nlohmann::json try_parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch) {
    return nlohmann::json::parse(text.begin(), text.end(), watch, false);
}

} // namespace scene
