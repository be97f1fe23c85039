#include "train/run/history.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::test {
namespace {

EpochRecord record(int64_t stage, int64_t epoch) {
    EpochRecord out;
    out.stage = stage;
    out.epoch = epoch;
    out.learning_rate = 1e-4 / 3;
    out.train_loss = 1.0 / 7;
    out.train_balanced_accuracy = 0.1;
    out.validation_loss = 2.0 / 3;
    out.validation_balanced_accuracy = 0.123456789012345678;
    out.validation_labelled = 1;
    out.best = epoch == 2;
    out.seconds = 1.23456;
    out.clips_per_second = 99.96;
    return out;
}

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(History, NumbersSurviveTheLogExactly) {
    const EpochRecord before = record(2, 3), after = parse_epoch_json(epoch_json(before), "here");
    EXPECT_EQ(after.stage, 2);
    EXPECT_EQ(after.epoch, 3);
    EXPECT_EQ(after.learning_rate, before.learning_rate);
    EXPECT_EQ(after.train_loss, before.train_loss);
    EXPECT_EQ(after.train_balanced_accuracy, before.train_balanced_accuracy);
    EXPECT_EQ(after.validation_loss, before.validation_loss);
    EXPECT_EQ(after.validation_balanced_accuracy, before.validation_balanced_accuracy);
    EXPECT_EQ(after.validation_labelled, before.validation_labelled);
    EXPECT_EQ(after.best, before.best);
    EXPECT_EQ(after.seconds, 1.2346);
    EXPECT_EQ(after.clips_per_second, 100);
}

TEST(History, TravelsWithoutTimings) {
    const std::string json = history_json({record(1, 1), record(1, 2)});
    EXPECT_EQ(json.find("seconds"), std::string::npos);
    EXPECT_EQ(json.find("clips_per_second"), std::string::npos);
    const auto history = parse_history_json(json, "here");
    ASSERT_EQ(history.size(), 2u);
    EXPECT_EQ(history[1].train_loss, 1.0 / 7);
    EXPECT_TRUE(history[1].best);
    EXPECT_TRUE(fails_with([] { parse_history_json("[{}]", "last.safetensors"); }, {"last.safetensors"}));
    EXPECT_TRUE(fails_with([] { parse_epoch_json("{\"stage\":1", "metrics.jsonl:3"); }, {"metrics.jsonl:3"}));
}

TEST(History, AScoreOfNoClipsSurvives) {
    EpochRecord before = record(2, 3);
    before.validation_labelled = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(std::isnan(parse_epoch_json(epoch_json(before), "here").validation_labelled));
    EXPECT_TRUE(std::isnan(parse_history_json(history_json({before}), "here").at(0).validation_labelled));
    before.clips_per_second = std::numeric_limits<double>::infinity(); // 0 seconds were measured
    EXPECT_FALSE(std::isfinite(parse_epoch_json(epoch_json(before), "here").clips_per_second));
}

TEST(History, WhatIsNoneIsRefused) {
    const std::string line = epoch_json(record(2, 3));
    const auto refused = [](const std::string& text) {
        return fails_with([&] { parse_history_json(text, "last.safetensors"); }, {"last.safetensors"});
    };
    EXPECT_TRUE(refused("null"));
    EXPECT_TRUE(refused("{\"a\":" + line + "}")) << "no list";
    EXPECT_TRUE(
        fails_with([&] { parse_epoch_json("{\"stage\":2.5" + line.substr(line.find(",\"epoch\"")), "metrics.jsonl"); },
                   {"metrics.jsonl"}));
}

TEST(History, LinesBeyondTheResumedEpochAndCutLinesGo) {
    const TemporaryFolder folder;
    const auto file = folder / "metrics.jsonl";
    for (int64_t epoch : {1, 2, 3}) append_epoch(file, record(1, epoch));
    std::ofstream(file, std::ios::app) << "{\"stage\":1,\"epo";
    EpochRecord untimed = record(1, 2);
    untimed.seconds = 0;
    rewrite_epochs(file, {record(1, 1), untimed});
    EXPECT_EQ(content(file), epoch_json(record(1, 1)) + "\n" + epoch_json(record(1, 2)) + "\n") << "timings are kept";
    rewrite_epochs(file, {record(1, 1), record(1, 2), record(2, 1)});
    EXPECT_EQ(content(file),
              epoch_json(record(1, 1)) + "\n" + epoch_json(record(1, 2)) + "\n" + epoch_json(record(2, 1)) + "\n")
        << "a missing line is written again";
}

TEST(History, AFolderThatCannotBeWrittenIsNamed) {
    EXPECT_TRUE(fails_with([] { append_epoch("/nowhere/metrics.jsonl", record(1, 1)); }, {"/nowhere/metrics.jsonl"}));
}

} // namespace
} // namespace scene::test
