// How the quickest of several engines is found. Stand-ins take the times that a test gives them.

#include <map>

#include "kernels/cuda/autotune/quickest.h"
#include "tests/support/expect_error.h"

namespace scene::test {
namespace {

using cuda::quickest_of;
using cuda::Trial;

const auto whole = [] { return false; };

struct Engines {
    std::vector<std::string> runs; ///< names in the order of their runs

    /// Run n takes `seconds[n]`; all further runs take the last of them.
    Trial trial(const std::string& name, std::vector<double> seconds) {
        return {name, [this, name, seconds, n = size_t{0}]() mutable {
                    runs.push_back(name);
                    return seconds[std::min(n++, seconds.size() - 1)];
                }};
    }
    Trial failing(const std::string& name, const std::string& message, size_t good_runs = 0) {
        return {name, [this, name, message, good_runs, n = size_t{0}]() mutable {
                    runs.push_back(name);
                    if (n++ >= good_runs) fail("{}", message);
                    return 1e-6;
                }};
    }
};

TEST(Quickest, WarmsUpForFiftyMillisecondsAndThenTakesTurns) {
    Engines engines;
    const auto found = quickest_of({engines.trial("a", {0.010}), engines.trial("b", {0.009})}, whole);
    EXPECT_EQ(found.index, 1u);
    EXPECT_EQ(found.seconds, 0.009);
    EXPECT_EQ(found.failures, "");
    std::vector<std::string> expected(5, "a"); // 5 * 10 ms
    for (int round = 0; round < 2; ++round)
        for (const char* name : {"a", "b"}) expected.insert(expected.end(), 4, name);
    EXPECT_EQ(engines.runs, expected);
}

/// The first engine is slow while the clocks rise: in the warm-up and all of its first round.
TEST(Quickest, AColdStartIsNoDisadvantage) {
    Engines engines;
    const auto found = quickest_of(
        {engines.trial("a", {0.03, 0.02, 0.02, 0.02, 0.02, 0.02, 0.005}), engines.trial("b", {0.006})}, whole);
    EXPECT_EQ(found.index, 0u);
    EXPECT_EQ(found.seconds, 0.005);
}

TEST(Quickest, TheBetterRoundCounts) {
    Engines engines;
    const auto found = quickest_of(
        {engines.trial("a", {0.05, 0.004, 0.004, 0.004, 0.004, 0.009}), engines.trial("b", {0.006})}, whole);
    EXPECT_EQ(found.index, 0u) << "slow in the second round, as when another program ran";
    EXPECT_EQ(found.seconds, 0.004);
}

TEST(Quickest, OneLuckyOrUnluckyRunDecidesNothing) {
    Engines engines;
    const double ms = 1e-3;
    const auto found = quickest_of({engines.trial("a", {50 * ms, 5 * ms, 5 * ms, 1 * ms, 5 * ms}),
                                    engines.trial("b", {4 * ms, 4 * ms, 90 * ms, 4 * ms, 90 * ms, 4 * ms, 4 * ms})},
                                   whole);
    EXPECT_EQ(found.index, 1u);
    EXPECT_EQ(found.seconds, 4 * ms);
}

TEST(Quickest, WhatFailsDropsOutAndIsNamed) {
    Engines engines;
    const auto found = quickest_of({engines.failing("a", "out of memory"), engines.trial("b", {0.1}),
                                    engines.failing("c", "bad knobs", 6), engines.failing("d", "out of memory")},
                                   whole);
    EXPECT_EQ(found.index, 1u) << "c ran quicker, but not to the end";
    EXPECT_EQ(found.failures, "a, d: out of memory; c: bad knobs");
    EXPECT_TRUE(fails_with(
        [&] {
            quickest_of({engines.failing("a", "no memory"), engines.failing("b", "bad knobs")}, whole);
        },
        {"a: no memory; b: bad knobs"}));
}

/// As after an illegal memory access: the other engines would only repeat the error.
TEST(Quickest, ABrokenDeviceEndsItAtOnceAndNamesTheEngine) {
    Engines engines;
    const std::vector<Trial> trials = {engines.trial("a", {0.1}), engines.failing("b", "an illegal access"),
                                       engines.trial("c", {0.1})};
    try {
        quickest_of(trials, [] { return true; });
        FAIL() << "went on";
    } catch (const cuda::BrokenDevice& error) {
        EXPECT_EQ(std::string(error.what()).find("b broke the device"), 0u) << error.what();
        EXPECT_NE(std::string(error.what()).find("an illegal access"), std::string::npos);
    }
    EXPECT_EQ(std::count(engines.runs.begin(), engines.runs.end(), "c"), 0);
}

TEST(Quickest, ShortRunsWarmUpNoLongerThanAThousandOfThem) {
    Engines engines;
    EXPECT_EQ(quickest_of({engines.trial("a", {1e-6})}, whole).seconds, 1e-6);
    EXPECT_EQ(engines.runs.size(), 1000u + 2 * 4);
}

/// On the emulator, which has no clock, there is nothing to wait for.
TEST(Quickest, EndsWithoutAClock) {
    Engines engines;
    EXPECT_EQ(quickest_of({engines.trial("a", {0})}, whole).seconds, 0);
    EXPECT_EQ(engines.runs.size(), 9u);
}

} // namespace
} // namespace scene::test
