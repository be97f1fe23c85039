#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace scene {

/// Local date and time of a recording.
struct RecordTime {
    int year = 1970, month = 1, day = 1; ///< month and day from 1
    int hour = 0, minute = 0, second = 0;

    /// 0 is Monday, 6 is Sunday.
    int weekday() const;
    bool operator==(const RecordTime&) const = default;
};

/// Parses "YYYY-MM-DD HH:MM:SS", also with T in the middle, without seconds, or without a time. nullopt: any other text
/// or an impossible date or time.
std::optional<RecordTime> parse_record_time(std::string_view text);

/// "YYYY-MM-DD HH:MM:SS"
std::string text_of(const RecordTime& time);

inline constexpr int time_feature_count = 8;

/// sin and cos of 2 pi times hour/24, (month - 1)/12, weekday/7 and minute/60, in this order:
/// [sin hour, cos hour, sin month, cos month, ...]. An unknown time is all zeros, which no known time gives.
std::array<float, time_feature_count> time_features(const std::optional<RecordTime>& time);

} // namespace scene
