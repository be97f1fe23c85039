// Every training step of a run is augmented with the settings of its configuration, and no other step is.

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/scripted_device.h"
#include "tests/train/small_store.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

class AugmentedRun : public testing::Test {
protected:
    /// The steps of a System #4 and of its teacher.
    const std::vector<StepSeen>& steps(const std::vector<std::string>& augmentation) {
        RunConfig config = small_config(4);
        config.training.batch = 7; // and a remainder
        config.augmentation = load_config("", augmentation).augmentation;
        device_.steps.clear();
        train_system(device_, store_, split_of(store_, config), config, folder_ / fmt::format("run{}", ++runs_),
                     {recorder_, stop_});
        return device_.steps;
    }

    TemporaryFolder folder_;
    FeatureStore store_ = small_store(folder_ / "store");
    ScriptedDevice device_{[](const ScriptedModel&, int32_t clip) { return Answer{clip % 3, 0.9}; }};
    Recorder recorder_;
    std::atomic<bool> stop_{false};
    int runs_ = 0;
};

TEST_F(AugmentedRun, EveryTrainingStepIsAugmentedAndNoOtherIs) {
    // 32 frames of 20 ms and 16 bands; 6 dB are 3 in 10 log10 of a magnitude.
    const Augmentation expected{.roll = 10,
                                .gain = 3,
                                .style_probability = 0.5f,
                                .style_alpha = 0.3f,
                                .frequency_masks = 2,
                                .frequency_mask = 2,
                                .time_masks = 2,
                                .time_mask = 2,
                                .mixup_probability = 1,
                                .mixup_alpha = 1};
    int64_t training[2] = {}, inference[2] = {}; // of the student, of the teacher
    std::set<int64_t> sizes;
    for (const StepSeen& step :
         steps({"augmentation.preset=panns", "augmentation.mixstyle_alpha=0.3", "augmentation.mixstyle_probability=0.5",
                "augmentation.roll_seconds=0.2", "augmentation.gain_db=6"})) {
        ++(step.training ? training : inference)[step.model.se_trans];
        EXPECT_EQ(step.augmentation.has_value(), step.training);
        if (!step.augmentation) continue;
        EXPECT_EQ(*step.augmentation, expected);
        sizes.insert(static_cast<int64_t>(step.clips.size()));
    }
    for (int whose : {0, 1}) {
        EXPECT_GT(training[whose], 0);
        EXPECT_GT(inference[whose], 0) << "validation, pseudo labels, hard samples and test";
    }
    EXPECT_GT(sizes.size(), 1u) << "the last batch of an epoch is smaller";
}

TEST_F(AugmentedRun, WithoutSettingsNothingIs) {
    for (const StepSeen& step : steps({})) EXPECT_FALSE(step.augmentation);
}

/// Only mixup changes targets. The loss then gets mixed targets, in training alone.
TEST_F(AugmentedRun, MixedTargetsReachTheLossOfTrainingAlone) {
    const auto mixed = [](const StepSeen& step) {
        return std::any_of(step.targets.begin(), step.targets.end(),
                           [](float value) { return value > 0 && value < 1; });
    };
    bool any = false;
    for (const StepSeen& step : steps({"augmentation.mixup_alpha=1"})) {
        any |= mixed(step);
        EXPECT_TRUE(step.training || !mixed(step));
    }
    EXPECT_TRUE(any);
    for (const StepSeen& step : steps({"augmentation.mixstyle_alpha=1"})) EXPECT_FALSE(mixed(step));
}

} // namespace
} // namespace scene::test
