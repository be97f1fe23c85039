#include "tools/cli/json_value.h"

#include <fmt/core.h>

#include "kernels/files/json.h"

namespace scene {

using nlohmann::ordered_json;

struct JsonValue::State {
    ordered_json value;
};

JsonValue::JsonValue() : state_(std::make_unique<State>()) {}
JsonValue::JsonValue(double number) : JsonValue() { state_->value = number; }
JsonValue::JsonValue(std::string_view text) : JsonValue() { state_->value = text; }
JsonValue::JsonValue(const JsonValue& other) : state_(std::make_unique<State>(*other.state_)) {}
JsonValue& JsonValue::operator=(JsonValue other) noexcept {
    state_ = std::move(other.state_);
    return *this;
}
JsonValue::~JsonValue() = default;

void JsonValue::assign_bool(bool flag) { state_->value = flag; }
void JsonValue::assign_integer(int64_t number) { state_->value = number; }

JsonValue JsonValue::array() {
    JsonValue value;
    value.state_->value = ordered_json::array();
    return value;
}
JsonValue JsonValue::object() {
    JsonValue value;
    value.state_->value = ordered_json::object();
    return value;
}

JsonValue& JsonValue::set(std::string_view name, const JsonValue& value) {
    state_->value[std::string(name)] = value.state_->value;
    return *this;
}
JsonValue& JsonValue::push(const JsonValue& value) {
    state_->value.push_back(value.state_->value);
    return *this;
}

// File names need not be UTF-8; what is not is replaced.
std::string JsonValue::line() const {
    return state_->value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}
std::string JsonValue::text() const {
    return state_->value.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

std::string json_library_version() {
    return fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                       NLOHMANN_JSON_VERSION_PATCH);
}

} // namespace scene
