// Damaged times of recordings.

#include "data/formats/record_time.h"

#include <cmath>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::test::require;

bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/// 0 is Monday; Sakamoto's rule.
int weekday(int year, int month, int day) {
    static constexpr int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    if (month < 3) --year;
    year += 400; // the calendar repeats; no division of a negative year
    return (year + year / 4 - year / 100 + year / 400 + shift[month - 1] + day + 6) % 7;
}

/// A date of the calendar that the text begins with, and a time of a day; it survives writing and reading.
bool accepts(const std::string& input) {
    const std::optional<scene::RecordTime> time = scene::parse_record_time(input);
    if (!time) return false;
    static constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    require(time->year >= 0 && time->year <= 9999 && time->month >= 1 && time->month <= 12, "a year and a month");
    require(time->day >= 1 && time->day <= days[time->month - 1] + (time->month == 2 && is_leap(time->year)), "a day");
    require(time->hour >= 0 && time->hour < 24 && time->minute >= 0 && time->minute < 60, "an hour and a minute");
    require(time->second >= 0 && time->second <= 60, "a second");
    require(time->weekday() == weekday(time->year, time->month, time->day), "the weekday");

    const std::string text = text_of(*time);
    require(text.size() == 19 && text.starts_with(input.substr(0, 10)), "the date as it was given");
    require(input.size() == 10 ? text.ends_with("00:00:00") : text.substr(11, 5) == input.substr(11, 5),
            "the time too");
    require(scene::parse_record_time(text) == time, "the same time is read again");
    float sum = 0;
    for (const float feature : scene::time_features(time)) sum += feature * feature;
    require(std::abs(sum - 4) < 1e-5f, "four points of the unit circle");
    return true;
}

} // namespace

int main(int argc, char** argv) {
    return scene::test::fuzz_main(
        argc, argv,
        {{"2023-06-18 18:44:34", "2024-02-29T00:05", "2023-12-31", "0000-01-01 23:59:60"},
         {"02",          "29", "30", "31", "1900", "2000", "9999",   "00",  "12", "13", "24", "59",
          "60",          "61", "-",  ":",  " ",    "T",    "-02-29", ":60", "-1", "+1", " 1", std::string(1, '\0'),
          "\xEF\xBC\x91"},
         accepts,
         100000});
}
