#include "data/formats/record_time.h"

#include <chrono>
#include <cmath>
#include <numbers>

#include <fmt/core.h>

namespace scene {
namespace {

/// Removes exactly `digits` digits from the front of `text` and returns their number; -1 if they are not there.
int take_number(std::string_view& text, size_t digits) {
    if (text.size() < digits) return -1;
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = 10 * value + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

std::chrono::year_month_day date_of(const RecordTime& time) {
    return {std::chrono::year(time.year), std::chrono::month(static_cast<unsigned>(time.month)),
            std::chrono::day(static_cast<unsigned>(time.day))};
}

} // namespace

int RecordTime::weekday() const {
    return static_cast<int>(std::chrono::weekday(std::chrono::sys_days(date_of(*this))).iso_encoding()) - 1;
}

std::optional<RecordTime> parse_record_time(std::string_view text) {
    RecordTime time;
    time.year = take_number(text, 4);
    if (!take(text, "-")) return {};
    time.month = take_number(text, 2);
    if (!take(text, "-")) return {};
    time.day = take_number(text, 2);
    if (time.year < 0 || time.month < 0 || time.day < 0 || !date_of(time).ok()) return {};
    if (text.empty()) return time;
    if (!take(text, " T")) return {};
    time.hour = take_number(text, 2);
    if (!take(text, ":")) return {};
    time.minute = take_number(text, 2);
    if (take(text, ":")) time.second = take_number(text, 2);
    const bool valid = time.hour >= 0 && time.hour < 24 && time.minute >= 0 && time.minute < 60 && time.second >= 0 &&
                       time.second < 61;
    return valid && text.empty() ? std::optional(time) : std::nullopt;
}

std::string text_of(const RecordTime& time) {
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", time.year, time.month, time.day, time.hour, time.minute,
                       time.second);
}

std::array<float, time_feature_count> time_features(const std::optional<RecordTime>& time) {
    std::array<float, time_feature_count> features{};
    if (!time) return features;
    const double phases[] = {time->hour / 24.0, (time->month - 1) / 12.0, time->weekday() / 7.0, time->minute / 60.0};
    for (size_t i = 0; i < 4; ++i) {
        features[2 * i] = static_cast<float>(std::sin(2 * std::numbers::pi * phases[i]));
        features[2 * i + 1] = static_cast<float>(std::cos(2 * std::numbers::pi * phases[i]));
    }
    return features;
}

} // namespace scene
