#include "data/formats/record_time.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/support/compare.h"

namespace scene {
namespace {

TEST(RecordTime, ReadsTheChallengesForm) {
    EXPECT_EQ(parse_record_time("2023-06-18 18:44:34"), (RecordTime{2023, 6, 18, 18, 44, 34}));
    EXPECT_EQ(parse_record_time("2024-02-29T00:05"), (RecordTime{2024, 2, 29, 0, 5, 0}));
    EXPECT_EQ(parse_record_time("2023-12-31"), (RecordTime{2023, 12, 31, 0, 0, 0}));
}

TEST(RecordTime, RefusesWhatIsNoTime) {
    for (const char* text : {"", "yesterday", "2023-13-01 00:00:00", "2023-02-29 00:00:00", "2023-06-18 24:00:00",
                             "2023-06-18 18:60:00", "2023-06-18 18:44:34 ", "18/06/2023 18:44:34", "2023-6-18 18:44:34",
                             "2023-06-18 ", "2023-06-18 18", "2023-06-18 -1:00:00", "2023-06-18 18:44:"})
        EXPECT_FALSE(parse_record_time(text)) << text;
}

TEST(RecordTime, WeekdaysFromMonday) {
    EXPECT_EQ(parse_record_time("2023-06-18")->weekday(), 6); // a Sunday
    EXPECT_EQ(parse_record_time("2024-02-29")->weekday(), 3); // a Thursday
    EXPECT_EQ(parse_record_time("1970-01-05")->weekday(), 0);
}

TEST(RecordTime, FeaturesAreSineAndCosineOverThePeriods) {
    const auto features = time_features(parse_record_time("2023-04-18 06:15:00")); // a Tuesday
    const double angle = 2 * 3.14159265358979323846 / 7;
    const std::array<double, 8> expected = {1, 0, 1, 0, std::sin(angle), std::cos(angle), 1, 0};
    EXPECT_TRUE(
        test::all_close(std::span<const float>(features), std::span<const double>(expected), {.absolute = 1e-6}));
}

TEST(RecordTime, UnknownIsZerosWhichNoKnownTimeGives) {
    EXPECT_EQ(time_features(std::nullopt), (std::array<float, 8>{}));
    std::set<std::array<float, 8>> seen;
    for (int hour = 0; hour < 24; ++hour)
        for (int minute = 0; minute < 60; ++minute) seen.insert(time_features(RecordTime{2023, 1, 1, hour, minute, 0}));
    EXPECT_EQ(seen.size(), 24u * 60u);
    EXPECT_EQ(seen.count({}), 0u);
}

/// Hour, month, weekday and minute, in this order, each of another phase.
TEST(RecordTime, FeaturesStandInTheirPlaces) {
    const auto features = time_features(RecordTime{2023, 5, 3, 2, 10, 59}); // a Wednesday
    const double turn = 2 * 3.14159265358979323846;
    const double phases[] = {2.0 / 24, 4.0 / 12, 2.0 / 7, 10.0 / 60};
    std::vector<double> expected;
    for (const double phase : phases) expected.insert(expected.end(), {std::sin(turn * phase), std::cos(turn * phase)});
    EXPECT_TRUE(
        test::all_close(std::span<const float>(features), std::span<const double>(expected), {.absolute = 1e-6}));
}

TEST(RecordTime, TextAndLeapSeconds) {
    EXPECT_EQ(text_of(RecordTime{2023, 6, 8, 1, 2, 3}), "2023-06-08 01:02:03");
    EXPECT_EQ(parse_record_time("2016-12-31 23:59:60"), (RecordTime{2016, 12, 31, 23, 59, 60}));
    EXPECT_FALSE(parse_record_time("2016-12-31 23:59:61"));
    EXPECT_FALSE(parse_record_time("2016-12-31 23:60:59"));
    EXPECT_FALSE(parse_record_time("2016-00-31"));
}

} // namespace
} // namespace scene
