// Augmentation from the configuration to the trained model.

#include "train/config/augmentation.h"

#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/config/step_config.h"
#include "train/run/stages.h"
#include "train/training_session.h"

namespace scene::test {
namespace {

const char* const everything[] = {"augmentation.preset=panns", "augmentation.mixstyle_alpha=0.3",
                                  "augmentation.mixstyle_probability=0.5", "augmentation.roll_seconds=0.2",
                                  "augmentation.gain_db=6"};

RunConfig with_everything(RunConfig config) {
    config.augmentation = load_config("", {std::begin(everything), std::end(everything)}).augmentation;
    return config;
}

TEST(AugmentationSettings, PresetsHoldThePublishedValues) {
    const LogMelSpec spec; // 500 frames of 20 ms, 64 bands
    const auto preset = [&](const std::string& name) {
        return augmentation_for(load_config("", {"augmentation.preset=" + name}).augmentation, spec);
    };
    EXPECT_FALSE(preset("none").any());
    const Augmentation dcase = preset("dcase2024");
    EXPECT_EQ(dcase.frequency_mask, 12); // 48 of 256
    EXPECT_EQ(dcase.frequency_masks, 1);
    EXPECT_EQ(dcase.roll, 5); // 0.1 s
    EXPECT_EQ(dcase.style_probability, 0.4f);
    EXPECT_EQ(dcase.style_alpha, 0.3f);
    EXPECT_FALSE(dcase.mixes());
    EXPECT_EQ(dcase.time_mask, 0);
    const Augmentation panns = preset("panns");
    EXPECT_EQ(panns.frequency_masks, 2);
    EXPECT_EQ(panns.frequency_mask, 8); // of 64
    EXPECT_EQ(panns.time_masks, 2);
    EXPECT_EQ(panns.time_mask, 32); // 64 of 1001
    EXPECT_EQ(panns.mixup_alpha, 1);
    EXPECT_EQ(panns.mixup_probability, 1);
    const Augmentation efficientat = preset("efficientat");
    EXPECT_EQ(efficientat.roll, 6); // 0.125 s
    EXPECT_EQ(efficientat.gain, 6); // 12 dB are 6 in 10 log10 of a magnitude
    EXPECT_EQ(efficientat.mixup_alpha, 0.3f);
    EXPECT_EQ(preset("tf-sepnet").style_probability, 0.8f);
    EXPECT_EQ(preset("tf-sepnet").style_alpha, 0.4f);
    EXPECT_EQ(preset("passt").frequency_mask, 24); // 48 of 128
    EXPECT_EQ(preset("passt").time_mask, 96);      // 192 of 998
    const Augmentation eat = preset("eat");
    EXPECT_EQ(eat.mixup_alpha, 0.7f);
    EXPECT_EQ(eat.mixup_probability, 0.9f);
    EXPECT_EQ(eat.frequency_masks, 1);
    EXPECT_EQ(eat.frequency_mask, 13); // 25 of 128, rounded up
    EXPECT_EQ(eat.time_masks, 1);
    EXPECT_EQ(eat.time_mask, 98); // 200 of 1024
    EXPECT_EQ(eat.roll, 250);     // any
    EXPECT_EQ(eat.gain, 0.85f);   // 1.7 dB
    EXPECT_FALSE(eat.styles());
    EXPECT_EQ(preset("fcnn").frequency_mask, 6); // below 13 of 128
    EXPECT_EQ(preset("fcnn").time_mask, 49);     // below 40 of 400
    EXPECT_EQ(preset("fcnn").mixup_alpha, 0.4f);
}

TEST(AugmentationSettings, SingleKeysBeatThePresetOfTheirPlace) {
    const TemporaryFolder folder;
    const auto file = folder / "run.toml";
    std::ofstream(file) << "[augmentation]\ngain_db = 3\npreset = \"panns\"\nmixup_alpha = 0.2\n";
    const AugmentationSettings in_file = load_config(file).augmentation;
    EXPECT_EQ(in_file.preset, "panns");
    EXPECT_EQ(in_file.gain_db, 3);
    EXPECT_EQ(in_file.mixup_alpha, 0.2);
    EXPECT_EQ(in_file.time_masks, 2);
    // A preset on the command line replaces the whole section of the file.
    const AugmentationSettings given =
        load_config(file, {"augmentation.time_masks=3", "augmentation.preset=dcase2024"}).augmentation;
    EXPECT_EQ(given.preset, "dcase2024");
    EXPECT_EQ(given.time_masks, 3);
    EXPECT_EQ(given.gain_db, 0);
    EXPECT_EQ(given.mixup_alpha, 0);
    EXPECT_EQ(load_config(file, {"augmentation.preset=none"}).augmentation, AugmentationSettings{});
}

TEST(AugmentationSettings, WhatTheFeaturesCannotHoldIsRefused) {
    const LogMelSpec spec;
    const auto refused = [&](const std::string& setting, const std::vector<std::string>& parts) {
        const AugmentationSettings settings = load_config("", {setting}).augmentation;
        EXPECT_TRUE(fails_with([&] { augmentation_for(settings, spec); }, parts)) << setting;
    };
    refused("augmentation.frequency_mask_share=0.005", {"frequency_mask_share = 0.005", "one of 64 bands", "0.0156"});
    refused("augmentation.time_mask_share=0.0005", {"time_mask_share = 0.0005", "one of 500 frames"});
}

TEST(AugmentationSettings, ARollFromHalfTheClipOnIsAnyShift) {
    const auto roll = [](const std::string& seconds, int32_t frames) {
        LogMelSpec spec;
        spec.frames = frames;
        return augmentation_for(load_config("", {"augmentation.roll_seconds=" + seconds}).augmentation, spec).roll;
    };
    EXPECT_EQ(roll("4.98", 500), 249);
    EXPECT_EQ(roll("5", 500), 250);
    EXPECT_EQ(roll("3600", 500), 250);
    EXPECT_EQ(roll("5", 51), 25) << "a preset for long clips holds for short ones";
}

TEST(AugmentationSettings, AreAmongTheDifferencesOfTwoRuns) {
    const RunConfig before = system_config(4), now = load_config("", {"augmentation.mixup_alpha=0.3"});
    EXPECT_EQ(differences(before, now), std::vector<std::string>{"augmentation.mixup_alpha = 0.3 (was 0.0)"});
}

class AugmentedSession : public testing::Test {
protected:
    AugmentedSession() : store_(small_store(folder_ / "store", {.clips = 30, .labelled_of_ten = 10, .places = true})) {
        step_.model = model_for(small_config(2).model, store_);
        step_.batch = 8;
        clips_.resize(30);
        std::iota(clips_.begin(), clips_.end(), 0);
        split_.labelled = clips_;
    }
    void augment(const RunConfig& config) { step_.augmentation = augmentation_for(config.augmentation, store_.spec()); }
    std::unique_ptr<TrainingSession> ready() {
        auto training = std::make_unique<TrainingSession>(*device_, store_, step_, std::vector<int64_t>{8, 6},
                                                          store_.columns().city);
        training->initialize(1);
        training->restart_optimizer(1);
        training->set_targets(stage_targets(store_, split_, {}));
        return training;
    }
    std::vector<float> trained() {
        const auto training = ready();
        training->train(clips_, 1e-3, [](int64_t) {});
        std::vector<float> values;
        for (const Variable* one : training->executor().variables().all(Segment::Parameters)) {
            std::vector<float> part(static_cast<size_t>(one->shape.elements()));
            training->executor().download(Segment::Parameters, one->name, part.data(), part.size() * sizeof(float));
            values.insert(values.end(), part.begin(), part.end());
        }
        return values;
    }
    std::vector<std::string> ops() {
        Variables variables;
        StepConfig step = step_;
        step.rows = 30;
        std::vector<std::string> names;
        for (const Op& op : build_training_step(device_->planner(), variables, step, 8).ops) names.push_back(op.name);
        return names;
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    StepConfig step_;
    Split split_;
    std::vector<int32_t> clips_;
};

TEST_F(AugmentedSession, OffIsTheProgramAsItWas) {
    const std::vector<std::string> before = ops();
    const std::vector<float> parameters = trained();
    for (const std::string& name : before) EXPECT_EQ(name.find("augment"), std::string::npos);
    // Augmentation is on, but its draws change nothing: other ops, the same dropout masks, the same bits.
    step_.augmentation = {.mixup_probability = 1e-9f, .mixup_alpha = 1};
    EXPECT_EQ(ops().size(), before.size() + 3);
    EXPECT_TRUE(trained() == parameters);
    augment(with_everything({}));
    EXPECT_EQ(ops().size(), before.size() + 4);
    EXPECT_FALSE(trained() == parameters);
}

TEST_F(AugmentedSession, TheSameBitsTwice) {
    augment(with_everything({}));
    EXPECT_TRUE(trained() == trained());
}

TEST_F(AugmentedSession, InferenceIsNotAugmented) {
    const auto scores = [&] {
        const auto training = ready();
        training->prepare_inference();
        training->infer(clips_, [](int64_t) {});
        return training->probabilities();
    };
    const std::vector<float> plain = scores();
    augment(with_everything({}));
    EXPECT_TRUE(scores() == plain);
}

/// With a learning rate of 0 and without dropout, the loss can be computed from the augmented batch.
TEST_F(AugmentedSession, EveryClipIsCountedOnceAndTheLossIsThatOfTheMixture) {
    step_.model.conv_dropout = step_.model.encoder_dropout = 0;
    step_.augmentation = {.mixup_probability = 1, .mixup_alpha = 1};
    const auto training = ready();
    const PassResult first = training->train(clips_, 0, [](int64_t) {}),
                     second = training->train(clips_, 0, [](int64_t) {});
    for (int64_t truth = 0; truth < 3; ++truth) EXPECT_EQ(first.confusion.clips(truth), 10);
    EXPECT_TRUE(std::isfinite(first.loss_sum));
    EXPECT_NE(first.loss_sum, second.loss_sum) << "another pass draws anew";
}

} // namespace
} // namespace scene::test
