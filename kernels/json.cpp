#include "kernels/json.h"

template class nlohmann::basic_json<>;
template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace scene {

nlohmann::json parse_json(std::string_view text) { return nlohmann::json::parse(text.begin(), text.end()); }

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
    return nlohmann::ordered_json::parse(text.begin(), text.end());
}

nlohmann::json try_parse_json(std::string_view text, const nlohmann::json::parser_callback_t& watch) {
    return nlohmann::json::parse(text.begin(), text.end(), watch, false);
}

} // namespace scene
