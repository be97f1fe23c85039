#pragma once

// JSON output: a thin face over nlohmann-json, whose header costs seconds in every file that includes it.

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace scene {

/// A JSON value under construction. Members keep the order in which they were set; NaN and infinity become null.
class JsonValue {
public:
    JsonValue();
    JsonValue(double number);
    JsonValue(std::string_view text);
    JsonValue(const char* text) : JsonValue(std::string_view(text)) {}
    JsonValue(const std::string& text) : JsonValue(std::string_view(text)) {}
    JsonValue(std::integral auto value) : JsonValue() {
        if constexpr (std::same_as<decltype(value), bool>)
            assign_bool(value);
        else
            assign_integer(static_cast<int64_t>(value));
    }
    JsonValue(const JsonValue& other);
    JsonValue& operator=(JsonValue other) noexcept;
    ~JsonValue();

    static JsonValue array();
    static JsonValue object();

    JsonValue& set(std::string_view name, const JsonValue& value);
    JsonValue& push(const JsonValue& value);

    /// On one line, or indented.
    std::string line() const;
    std::string text() const;

private:
    void assign_bool(bool flag);
    void assign_integer(int64_t number);

    struct State;
    std::unique_ptr<State> state_;
};

/// Of the library underneath, "3.11.2".
std::string json_library_version();

} // namespace scene
