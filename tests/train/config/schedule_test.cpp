#include "train/config/schedule.h"

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

/// Epoch 3 is the best on all clips, with pseudo labels as truth; epochs 1 and 2 are the best on clips with true
/// labels.
TEST(Schedule, TheConfigSaysWhichClipsChooseInStageTwo) {
    auto history = scores(1, {0.4, 0.6, 0.9, 0.8});
    const double labelled[] = {0.7, 0.7, 0.2, 0.1};
    for (size_t i = 0; i < history.size(); ++i) history[i].validation_labelled = labelled[i];
    TrainingSettings settings;
    ASSERT_EQ(settings.choose_by, ChooseBy::Labelled);
    EXPECT_EQ(stage_state(history, 1, settings).best_epoch, 3) << "stage 1 has one score";
    for (EpochRecord& record : history) record.stage = 2;
    settings.early_stop = 3;
    const StageState honest = stage_state(history, 2, settings);
    EXPECT_EQ(honest.best_epoch, 2);
    EXPECT_EQ(honest.best_score, 0.7);
    EXPECT_EQ(honest.all, 0.6);
    EXPECT_TRUE(honest.finished) << "epochs 2 to 4 are not better than epoch 1";
    settings.choose_by = ChooseBy::Paper;
    const StageState paper = stage_state(history, 2, settings);
    EXPECT_EQ(paper.best_epoch, 3);
    EXPECT_EQ(paper.best_score, 0.9);
    EXPECT_EQ(paper.all, 0.9);
    EXPECT_EQ(paper.labelled, 0.2);
    EXPECT_FALSE(paper.finished);
}

TEST(Schedule, EveryStageAfterTheFirstIsChosenAsTheSecond) {
    TrainingSettings paper;
    paper.choose_by = ChooseBy::Paper;
    for (int64_t stage = 1; stage <= most_stages; ++stage) {
        auto history = scores(stage, {0.4, 0.6, 0.9});
        const double labelled[] = {0.7, 0.2, 0.1};
        for (size_t i = 0; i < history.size(); ++i) history[i].validation_labelled = labelled[i];
        EXPECT_EQ(stage_state(history, stage, {}).best_epoch, stage == 1 ? 3 : 1) << stage;
        EXPECT_EQ(stage_state(history, stage, paper).best_epoch, 3) << stage;
    }
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
    EXPECT_EQ(stage_state(history, 2, settings).all, 0.3);
    EXPECT_TRUE(stage_state(history, 1, settings).finished);
}

} // namespace
} // namespace scene::test
