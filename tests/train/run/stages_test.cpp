#include "train/run/stages.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

class Stages : public testing::Test {
protected:
    Stages() : store_(small_store(folder_ / "store", {.clips = 300})) {}

    TemporaryFolder folder_;
    FeatureStore store_;
    TrainingSettings settings_ = small_config(2).training;
    Split split_ = split_of(store_, small_config(2));
};

TEST_F(Stages, EveryTrainingClipHasOnePlaceAndTestClipsHaveNone) {
    const TrainingClips clips = divide_training_clips(store_, split_, settings_);
    std::multiset<int32_t> placed;
    for (const auto* part :
         {&clips.labelled.train, &clips.labelled.validation, &clips.unlabelled.train, &clips.unlabelled.validation})
        placed.insert(part->begin(), part->end());
    std::multiset<int32_t> expected(split_.labelled.begin(), split_.labelled.end());
    expected.insert(split_.unlabelled.begin(), split_.unlabelled.end());
    EXPECT_EQ(placed, expected);
    EXPECT_EQ(clips.labelled.validation.size(), split_.labelled.size() / 5);
    EXPECT_EQ(clips.unlabelled.validation.size(), split_.unlabelled.size() / 5);
    std::vector<int> per_class(3);
    for (int32_t clip : clips.labelled.validation)
        ++per_class[static_cast<size_t>(store_.columns().label[static_cast<size_t>(clip)])];
    EXPECT_EQ(per_class, (std::vector<int>{5, 5, 5})) << "stratified";

    EXPECT_EQ(clips.train(1), clips.labelled.train);
    EXPECT_EQ(clips.train(2).size(), clips.labelled.train.size() + clips.unlabelled.train.size());
    EXPECT_EQ(divide_training_clips(store_, split_, settings_).labelled.train, clips.labelled.train);
    settings_.seed = 5;
    EXPECT_NE(divide_training_clips(store_, split_, settings_).labelled.train, clips.labelled.train);
}

TEST_F(Stages, LabelledClipsOfFewerThanTwoClassesAreRefused) {
    Split split = split_;
    std::erase_if(split.labelled, [&](int32_t clip) { return store_.columns().label[static_cast<size_t>(clip)] != 1; });
    EXPECT_TRUE(fails_with([&] { divide_training_clips(store_, split, settings_); },
                           {"only one class, 'class 1'", "(" + std::to_string(split.labelled.size()) + " of them)",
                            "label clips of another"}));
    split.labelled.clear();
    EXPECT_TRUE(fails_with([&] { divide_training_clips(store_, split, settings_); },
                           {"no clip has a label", "prepare the store anew"}));
}

std::set<std::string> sessions_of(const FeatureStore& store, std::vector<int32_t> clips,
                                  const std::vector<int32_t>& more) {
    clips.insert(clips.end(), more.begin(), more.end());
    std::set<std::string> sessions;
    for (int32_t clip : clips) sessions.insert(store.columns().sessions[static_cast<size_t>(clip)]);
    return sessions;
}

TEST_F(Stages, ASessionSplitValidatesOnWholeSessions) {
    const FeatureStore store = small_store(folder_ / "grouped", {.clips = 300, .groups = true});
    RunConfig config = small_config(2);
    config.split.name = "session";
    const Split split = split_of(store.columns(), config.split);
    const TrainingClips clips = divide_training_clips(store, split, config.training);
    EXPECT_EQ(clips.note, "");
    const auto training = sessions_of(store, clips.labelled.train, clips.unlabelled.train);
    const auto validating = sessions_of(store, clips.labelled.validation, clips.unlabelled.validation);
    for (const std::string& session : validating) EXPECT_FALSE(training.contains(session)) << session;
    EXPECT_EQ(clips.labelled.train.size() + clips.labelled.validation.size(), split.labelled.size());
    EXPECT_EQ(clips.unlabelled.train.size() + clips.unlabelled.validation.size(), split.unlabelled.size());
    EXPECT_FALSE(clips.unlabelled.validation.empty());

    config.training.validation = Validation::Clips;
    const TrainingClips by_clips = divide_training_clips(store, split, config.training);
    EXPECT_EQ(by_clips.labelled.validation.size(), split.labelled.size() / 5);
    const auto both = sessions_of(store, by_clips.labelled.train, {});
    const auto by_clip = sessions_of(store, by_clips.labelled.validation, {});
    EXPECT_TRUE(std::any_of(by_clip.begin(), by_clip.end(), [&](const auto& one) { return both.contains(one); }));
}

/// Each class has one training session, so none can be held out.
TEST_F(Stages, WhatCannotBeKeptWholeIsSaid) {
    const FeatureStore store = small_store(folder_ / "grouped", {.clips = 300, .groups = true});
    Split split = split_of(store.columns(), small_config(2).split);
    split.name = "session";
    std::erase_if(split.labelled,
                  [&](int32_t clip) { return !store.columns().sessions[static_cast<size_t>(clip)].ends_with("-1"); });
    const TrainingClips clips = divide_training_clips(store, split, settings_);
    EXPECT_NE(clips.note.find("validation by clips, not by session: "), std::string::npos) << clips.note;
    EXPECT_NE(clips.note.find("in one session only"), std::string::npos) << clips.note;
    EXPECT_FALSE(clips.labelled.validation.empty());
    settings_.validation = Validation::Sessions;
    EXPECT_TRUE(fails_with([&] { divide_training_clips(store, split, settings_); },
                           {"training.validation = sessions", "in one session only"}));
    settings_.validation = Validation::Cities;
    EXPECT_TRUE(fails_with([&] { divide_training_clips(store, split, settings_); },
                           {"training.validation = cities", "no labelled clip has a city"}));
}

TEST_F(Stages, TheDivisionDoesNotSeeHiddenLabels) {
    Split hidden = split_; // as in a fold split: clips labelled in the store and unlabelled in the split
    hidden.unlabelled.insert(hidden.unlabelled.end(), hidden.test.begin(), hidden.test.end());
    std::sort(hidden.unlabelled.begin(), hidden.unlabelled.end());
    hidden.test.clear();
    const TrainingClips clips = divide_training_clips(store_, hidden, settings_);
    EXPECT_EQ(clips.labelled.train, divide_training_clips(store_, split_, settings_).labelled.train);
    EXPECT_EQ(clips.unlabelled.validation.size(), hidden.unlabelled.size() / 5);
    const std::vector<float> targets = stage_targets(store_, hidden, {});
    for (int32_t clip : hidden.unlabelled)
        for (size_t k = 0; k < 3; ++k) EXPECT_EQ(targets[static_cast<size_t>(clip) * 3 + k], 0);
}

/// Labels of clips that the split uses without their labels change neither the division nor the targets.
TEST_F(Stages, WhatHiddenLabelsSayChangesNothing) {
    const FeatureStore store = small_store(folder_ / "grouped", {.clips = 300, .groups = true});
    for (const char* name : {"fold:1", "simulation", "session"}) {
        RunConfig config = small_config(2);
        config.split.name = name;
        config.split.labelled_share = 0.5;
        const Split split = split_of(store.columns(), config.split);
        StoreColumns columns = store.columns();
        for (const auto* part : {&split.unlabelled, &split.test})
            for (int32_t clip : *part) columns.label[static_cast<size_t>(clip)] = clip / 3 % 5 == 0 ? -1 : clip / 3 % 2;
        write_feature_store(folder_ / "other", columns, store.logmel());
        const FeatureStore other = FeatureStore::open(folder_ / "other");
        for (const Validation validation : {Validation::Auto, Validation::Clips, Validation::Sessions}) {
            config.training.validation = validation;
            const TrainingClips before = divide_training_clips(store, split, config.training);
            const TrainingClips after = divide_training_clips(other, split, config.training);
            EXPECT_EQ(after.labelled.train, before.labelled.train) << name;
            EXPECT_EQ(after.labelled.validation, before.labelled.validation) << name;
            EXPECT_EQ(after.unlabelled.train, before.unlabelled.train) << name;
            EXPECT_EQ(after.unlabelled.validation, before.unlabelled.validation) << name;
            EXPECT_FALSE(before.unlabelled.validation.empty()) << name;
        }
        const std::vector<Prediction> pseudo{{split.unlabelled[1], 2, 0.5f}, {split.unlabelled[7], 1, 0.5f}};
        EXPECT_EQ(stage_targets(other, split, pseudo), stage_targets(store, split, pseudo));
    }
}

TEST_F(Stages, SeedAndShareDivideTheUnlabelledClipsToo) {
    const auto validating = [&](uint64_t seed, double share) {
        settings_.seed = seed;
        settings_.validation_share = share;
        return divide_training_clips(store_, split_, settings_).unlabelled.validation;
    };
    EXPECT_NE(validating(5, 0.2), validating(6, 0.2));
    EXPECT_EQ(validating(5, 0.4).size(), 2 * split_.unlabelled.size() / 5);
}

TEST_F(Stages, ACitySplitValidatesOnWholeCities) {
    StoreColumns columns = store_.columns();
    columns.cities = {"a", "b", "c", "d", "e", "f"};
    for (size_t clip = 0; clip < 300; ++clip) columns.city[clip] = static_cast<int32_t>(clip / 3 % 7 % 6);
    write_feature_store(folder_ / "cities", columns, store_.logmel());
    const FeatureStore store = FeatureStore::open(folder_ / "cities");
    Split split = split_;
    split.name = "city";
    settings_.validation_share = 0.3;
    const TrainingClips clips = divide_training_clips(store, split, settings_);
    EXPECT_EQ(clips.note, "");
    std::set<int32_t> training, validating;
    for (const auto* part : {&clips.labelled.train, &clips.unlabelled.train})
        for (int32_t clip : *part) training.insert(columns.city[static_cast<size_t>(clip)]);
    for (const auto* part : {&clips.labelled.validation, &clips.unlabelled.validation})
        for (int32_t clip : *part) validating.insert(columns.city[static_cast<size_t>(clip)]);
    EXPECT_FALSE(validating.empty());
    for (int32_t city : validating) EXPECT_FALSE(training.contains(city)) << city;
    const auto with_seed = [&](uint64_t seed) {
        settings_.seed = seed;
        return divide_training_clips(store, split, settings_).labelled.validation;
    };
    std::set<std::vector<int32_t>> drawn;
    for (uint64_t seed = 0; seed < 6; ++seed) drawn.insert(with_seed(seed));
    EXPECT_GT(drawn.size(), 1u);
    settings_.validation_share = 0.6;
    EXPECT_GT(divide_training_clips(store, split, settings_).labelled.validation.size(),
              clips.labelled.validation.size());
}

/// Rows of the distributions are indexed by clip of the store, not by pseudo label.
TEST_F(Stages, SoftTargetsAreThoseOfTheirClips) {
    std::vector<float> distributions(900);
    for (size_t i = 0; i < 900; ++i) distributions[i] = static_cast<float>(i) / 1024;
    const std::vector<Prediction> pseudo{{split_.unlabelled[9], 0, 0.4f}, {split_.unlabelled[2], 1, 0.4f}};
    const std::vector<float> targets = stage_targets(store_, split_, pseudo, distributions);
    for (int32_t clip : split_.unlabelled) {
        const bool given = clip == pseudo[0].clip || clip == pseudo[1].clip;
        for (size_t k = 0; k < 3; ++k) {
            const size_t at = static_cast<size_t>(clip) * 3 + k;
            EXPECT_EQ(targets[at], given ? distributions[at] : 0);
        }
    }
}

TEST_F(Stages, BatchSizesAreTheFullOneAndTheRemainders) {
    TrainingClips clips;
    clips.labelled.train.resize(13);
    clips.unlabelled.train.resize(20);
    settings_.batch = 8;
    EXPECT_EQ(clips.batches(settings_), (std::vector<int64_t>{1, 5, 8}));
    settings_.stages = 1;
    EXPECT_EQ(clips.batches(settings_), (std::vector<int64_t>{5, 8}));
    settings_.batch = 13;
    EXPECT_EQ(clips.batches(settings_), (std::vector<int64_t>{13}));
    settings_.batch = 64;
    EXPECT_EQ(clips.batches(settings_), (std::vector<int64_t>{13}));
}

TEST_F(Stages, OrdersArePermutationsThatDependOnSeedStageAndEpoch) {
    std::vector<int32_t> clips(50);
    std::iota(clips.begin(), clips.end(), 10);
    const auto order = epoch_order(clips, 1, 1, 1);
    EXPECT_TRUE(std::is_permutation(order.begin(), order.end(), clips.begin()));
    EXPECT_EQ(epoch_order(clips, 1, 1, 1), order);
    EXPECT_NE(epoch_order(clips, 2, 1, 1), order);
    EXPECT_NE(epoch_order(clips, 1, 2, 1), order);
    EXPECT_NE(epoch_order(clips, 1, 1, 2), order);
    std::set<std::vector<int32_t>> orders;
    for (int64_t stage = 1; stage <= 4; ++stage)
        for (int64_t epoch = 1; epoch <= 40; ++epoch) orders.insert(epoch_order(clips, 1, stage, epoch));
    EXPECT_EQ(orders.size(), 160u);
    EXPECT_NE(stage_seed(1, 1), stage_seed(1, 2));
    EXPECT_NE(stage_seed(1, 1), stage_seed(2, 1));
}

TEST_F(Stages, TargetsAreOneHotForLabelledAndPseudoLabelledClips) {
    const std::vector<Prediction> pseudo{{split_.unlabelled[0], 2, 0.4f}};
    const std::vector<float> targets = stage_targets(store_, split_, pseudo);
    const auto row = [&](int32_t clip) {
        const auto begin = targets.begin() + clip * 3;
        return std::vector<float>(begin, begin + 3);
    };
    EXPECT_EQ(row(split_.unlabelled[0]), (std::vector<float>{0, 0, 1}));
    EXPECT_EQ(row(split_.unlabelled[1]), (std::vector<float>{0, 0, 0}));
    for (int32_t clip : split_.test) EXPECT_EQ(row(clip), (std::vector<float>{0, 0, 0})) << "test labels stay away";
    for (int32_t clip : split_.labelled) {
        std::vector<float> expected(3);
        expected[static_cast<size_t>(store_.columns().label[static_cast<size_t>(clip)])] = 1;
        EXPECT_EQ(row(clip), expected);
    }
}

TEST_F(Stages, TooFewLabelledClipsAreReported) {
    split_.labelled.resize(2); // of two classes
    EXPECT_TRUE(fails_with([&] { divide_training_clips(store_, split_, settings_); },
                           {"simulation", "2 labelled clips are too few", "validation_share"}));
}

/// A split file must have been made for this number of clips.
TEST_F(Stages, ASplitsFileIsTakenByItsName) {
    SplitSettings settings;
    settings.name = (folder_ / "mine.json").string();
    save_split(settings.name, split_, 300);
    EXPECT_EQ(split_of(store_.columns(), settings), split_);
    for (const int64_t clips : {299, 301}) {
        save_split(settings.name, split_, clips);
        EXPECT_TRUE(fails_with([&] { split_of(store_.columns(), settings); }, {"mine.json", "this one has 300"}));
    }
}

} // namespace
} // namespace scene::test
