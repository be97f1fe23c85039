// scene evaluate --adapt as a user meets it.

#include "tests/tools/small_run.h"

#include "kernels/files/json.h"

namespace scene::test {
namespace {

using nlohmann::json;

TEST(Adapt, PrintsScoresWithAndWithoutAdaptation) {
    const SmallRun& small = small_run();
    const Outcome outcome =
        scene_command({"evaluate", small.run, small.store, "--adapt", "--adapt-neighbours", "3", "--json", "--quiet"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json result = parse_json(outcome.out);
    const json& adaptation = result.at("adaptation");
    EXPECT_EQ(adaptation.at("without").at("balanced_accuracy"), result.at("balanced_accuracy"));
    EXPECT_EQ(adaptation.at("labelled_clips"), SmallRun::labelled - small.test_clips());
    EXPECT_LE(adaptation.at("joined_clips").get<size_t>(), small.test_clips());
    EXPECT_EQ(adaptation.at("neighbours"), 3);
    for (const char* way : {"votes", "with"}) {
        EXPECT_GE(adaptation.at(way).at("accuracy").get<double>(), 0);
        EXPECT_LE(adaptation.at(way).at("accuracy").get<double>(), 1);
    }
    const Outcome text = scene_command({"evaluate", small.run, small.store, "--adapt", "--quiet"});
    EXPECT_NE(text.out.find("without adaptation"), std::string::npos);
    EXPECT_NE(text.out.find("with adaptation"), std::string::npos);
}

TEST(Adapt, EverySettingIsTheOneGivenAndTakesEffect) {
    const SmallRun& small = small_run();
    const auto adapted = [&](const std::vector<std::string>& more) {
        std::vector<std::string> arguments = {"evaluate", small.run, small.store, "--adapt", "--json", "--quiet"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = scene_command(arguments);
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        return parse_json(outcome.out).at("adaptation");
    };
    const json given = adapted({"--adapt-neighbours", "3", "--adapt-temperature", "0.25", "--adapt-confidence", "0",
                                "--adapt-growth", "2", "--adapt-batch", "5"});
    EXPECT_EQ(given.at("neighbours"), 3);
    EXPECT_EQ(given.at("temperature"), 0.25);
    EXPECT_EQ(given.at("confidence"), 0);
    EXPECT_EQ(given.at("growth"), 2);
    EXPECT_EQ(given.at("batch"), 5);
    EXPECT_EQ(given.at("joined_clips"), 2) << "any clip may join, no more than two do";
    const json never = adapted({"--adapt-confidence", "1.5"});
    EXPECT_EQ(never.at("joined_clips"), 0);
    EXPECT_EQ(never.at("with"), never.at("votes"));
}

TEST(Adapt, NeedsLabelledTrainingClipsAndPossibleSettings) {
    const SmallRun& small = small_run();
    EXPECT_TRUE(
        fails_with(scene_command({"evaluate", small.run, small.store, "--adapt", "--clips", "labelled", "--quiet"}), 1,
                   "labelled training clips"));
    for (const char* setting : {"--adapt-neighbours", "--adapt-temperature", "--adapt-batch"})
        EXPECT_TRUE(fails_with(scene_command({"evaluate", small.run, small.store, "--adapt", setting, "0", "--quiet"}),
                               1, setting));
    EXPECT_TRUE(
        fails_with(scene_command({"evaluate", small.run, small.store, "--adapt", "--adapt-growth", "-1", "--quiet"}), 1,
                   "--adapt-growth"));
}

} // namespace
} // namespace scene::test
