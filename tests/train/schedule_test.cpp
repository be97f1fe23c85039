#include "train/schedule.h"

#include <cmath>

#include <gtest/gtest.h>

namespace scene::test {
namespace {

std::vector<EpochRecord> scores(int64_t stage, const std::vector<double>& values) {
    std::vector<EpochRecord> history;
    for (double value : values) {
        EpochRecord record;
        record.stage = stage;
        record.epoch = static_cast<int64_t>(history.size()) + 1;
        record.validation_balanced_accuracy = value;
        record.validation_labelled = value / 2;
        history.push_back(record);
    }
    return history;
}

TEST(Schedule, LearningRateFallsEveryTwoEpochs) {
    TrainingSettings settings;
    settings.learning_rate = 1e-4;
    EXPECT_DOUBLE_EQ(learning_rate(settings, 1), 1e-4);
    EXPECT_DOUBLE_EQ(learning_rate(settings, 2), 1e-4);
    EXPECT_DOUBLE_EQ(learning_rate(settings, 3), 0.9e-4);
    EXPECT_DOUBLE_EQ(learning_rate(settings, 4), 0.9e-4);
    EXPECT_NEAR(learning_rate(settings, 20), 1e-4 * std::pow(0.9, 9), 1e-18);
    settings.decay_every = 1;
    EXPECT_NEAR(learning_rate(settings, 3), 0.81e-4, 1e-18);
}

TEST(Schedule, TheLatestAmongEqualsIsBest) {
    TrainingSettings settings;
    const auto history = scores(1, {0.5, 0.8, 0.8, 0.7});
    const StageState state = stage_state(history, 1, settings);
    EXPECT_EQ(state.best_epoch, 3);
    EXPECT_EQ(state.best_score, 0.8);
    EXPECT_EQ(state.labelled, 0.4);
    EXPECT_EQ(state.epochs, 4);
    EXPECT_FALSE(state.finished);
}

TEST(Schedule, StopsAfterSoManyEpochsWithoutABetterScore) {
    TrainingSettings settings;
    settings.early_stop = 3;
    EXPECT_FALSE(stage_state(scores(1, {0.5, 0.4, 0.4}), 1, settings).finished);
    EXPECT_TRUE(stage_state(scores(1, {0.5, 0.4, 0.4, 0.4}), 1, settings).finished);
    EXPECT_TRUE(stage_state(scores(1, {0.5, 0.5, 0.5, 0.5}), 1, settings).finished) << "equal is not better";
    EXPECT_FALSE(stage_state(scores(1, {0.5, 0.4, 0.4, 0.6, 0.1, 0.1}), 1, settings).finished);
    settings.early_stop = 0;
    EXPECT_FALSE(stage_state(scores(1, std::vector<double>(19, 0.5)), 1, settings).finished);
    EXPECT_TRUE(stage_state(scores(1, std::vector<double>(20, 0.5)), 1, settings).finished);
}

TEST(Schedule, StagesDoNotSeeEachOther) {
    TrainingSettings settings;
    settings.epochs = 2;
    auto history = scores(1, {0.9, 0.8});
    EXPECT_EQ(stage_state(history, 2, settings).epochs, 0);
    EXPECT_FALSE(stage_state(history, 2, settings).finished);
    const auto second = scores(2, {0.3});
    history.insert(history.end(), second.begin(), second.end());
    EXPECT_EQ(stage_state(history, 2, settings).best_score, 0.3);
    EXPECT_TRUE(stage_state(history, 1, settings).finished);
}

} // namespace
} // namespace scene::test
