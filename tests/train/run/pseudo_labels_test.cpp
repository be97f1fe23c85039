#include "train/run/pseudo_labels.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>

#include "data/formats/csv.h"
#include "model/checkpoint.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/chosen_course.h"
#include "tests/train/small_store.h"
#include "train/evaluation/evaluate.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

std::vector<int32_t> clips_of(const std::vector<Prediction>& predictions) {
    std::vector<int32_t> clips;
    for (const Prediction& one : predictions) clips.push_back(one.clip);
    return clips;
}

const std::vector<Prediction> six{{10, 0, 0.9f}, {11, 0, 0.5f},  {12, 1, 0.8f},
                                  {13, 0, 0.9f}, {14, 0, 0.95f}, {15, 1, 0.3f}};
const std::vector<int32_t> all_train{10, 11, 12, 13, 14, 15};

TEST(PseudoLabels, AreAllUsedByDefault) {
    EXPECT_EQ(clips_of(choose_pseudo_labels(six, all_train, {}).used_predictions()), all_train);
}

TEST(PseudoLabels, BelowTheThresholdAreNotUsed) {
    const auto chosen = choose_pseudo_labels(six, all_train, {.threshold = 0.5}).used_predictions();
    EXPECT_EQ(clips_of(chosen), (std::vector<int32_t>{10, 11, 12, 13, 14})) << "0.5 itself is enough";
}

TEST(PseudoLabels, ACapKeepsTheMostConfidentOfEachClass) {
    EXPECT_EQ(clips_of(choose_pseudo_labels(six, all_train, {.class_cap = 2}).used_predictions()),
              (std::vector<int32_t>{10, 12, 14, 15}))
        << "10 and 13 are equally confident: the first";
    const std::vector<int32_t> train{11, 12, 13, 15};
    EXPECT_EQ(clips_of(choose_pseudo_labels(six, train, {.class_cap = 1}).used_predictions()),
              (std::vector<int32_t>{10, 12, 13, 14}))
        << "10 and 14 validate: no cap";
}

TEST(PseudoLabels, NoneConfidentEnoughIsAnError) {
    EXPECT_TRUE(fails_with([] { choose_pseudo_labels(six, all_train, {.threshold = 0.99}); },
                           {"pseudo.threshold = 0.99", "none of 6", "0.9500", "training.stages = 1"}));
    const std::vector<int32_t> train{11, 15};
    EXPECT_TRUE(fails_with([&] { choose_pseudo_labels(six, train, {.threshold = 0.6}); }, {"none of 2", "0.5000"}));
}

TEST(PseudoLabels, ClipsWithoutATargetLeaveTheDivision) {
    TrainingClips clips;
    clips.labelled.train = {0};
    clips.labelled.validation = {1};
    clips.unlabelled.train = {2, 3};
    clips.unlabelled.validation = {4, 5};
    const std::vector<float> targets{1, 0, 0, 1, 0, 0, 0.4f, 0.6f, 0, 0, 0, 1};
    const TrainingClips kept = with_targets(clips, targets, 2);
    EXPECT_EQ(kept.train(2), (std::vector<int32_t>{0, 3}));
    EXPECT_EQ(kept.labelled.validation, clips.labelled.validation);
    EXPECT_EQ(kept.unlabelled.validation, (std::vector<int32_t>{5}));
}

/// A soft target may have no class above a half, and several equal maxima.
TEST(PseudoLabels, EveryClipWithAnyTargetStays) {
    TrainingClips clips;
    clips.unlabelled.train = {0, 1, 2, 3};
    clips.unlabelled.validation = {4, 5, 6};
    const std::vector<float> targets{0.4f,  0.3f, 0.3f, 0.25f, 0.25f, 0.5f, 0, 0, 0, 0, 0,
                                     1e-6f, 0,    0,    0,     0.5f,  0.5f, 0, 1, 0, 0};
    const TrainingClips kept = with_targets(clips, targets, 3);
    EXPECT_EQ(kept.unlabelled.train, (std::vector<int32_t>{0, 1, 3}));
    EXPECT_EQ(kept.unlabelled.validation, (std::vector<int32_t>{5, 6}));
}

/// The order of the training clips does not matter.
TEST(PseudoLabels, ACapHoldsForEveryClassInAnyOrderOfTheClips) {
    const std::vector<Prediction> predictions{{5, 0, 0.6f}, {3, 2, 0.9f}, {9, 1, 0.5f}, {1, 2, 0.8f}, {7, 0, 0.7f},
                                              {2, 1, 0.9f}, {8, 2, 0.7f}, {6, 0, 0.8f}, {4, 1, 0.4f}, {0, 2, 0.1f}};
    const std::vector<int32_t> train{9, 5, 8, 3, 7, 1, 6, 4, 2};
    EXPECT_EQ(clips_of(choose_pseudo_labels(predictions, train, {.class_cap = 1}).used_predictions()),
              (std::vector<int32_t>{3, 2, 6, 0}));
    EXPECT_EQ(clips_of(choose_pseudo_labels(predictions, train, {.class_cap = 2}).used_predictions()),
              (std::vector<int32_t>{3, 9, 1, 7, 2, 6, 0}));
    EXPECT_EQ(
        clips_of(choose_pseudo_labels(predictions, train, {.threshold = 0.65, .class_cap = 2}).used_predictions()),
        (std::vector<int32_t>{3, 1, 7, 2, 6}));
}

TEST(PseudoLabels, ConfidenceWeightsMultiplyAndKeepTheMean) {
    std::vector<float> weights{2, 1, 0.5f, 1};
    weigh_by_confidence(weights, std::vector<Prediction>{{1, 0, 0.5f}, {2, 0, 0.25f}}, std::vector<int32_t>{0, 1, 2});
    const double scale = 3 / (2 + 0.5 + 0.125);
    EXPECT_NEAR(weights[0], 2 * scale, 1e-6);
    EXPECT_NEAR(weights[1], 0.5 * scale, 1e-6);
    EXPECT_NEAR(weights[2], 0.125 * scale, 1e-6);
    EXPECT_EQ(weights[3], 1.0f) << "no member";
}

TEST(PseudoLabels, TheFileKeepsOtherStagesAndQuotes) {
    const TemporaryFolder folder;
    StoreColumns columns;
    columns.names = {"a", "b, \"c\"", "d"};
    columns.classes = {"Bus", "Park, urban"};
    const auto file = folder / "pseudo.csv";
    write_pseudo_labels(file, 2, {{{0, 1, 0.25f}, {1, 0, 1}}, {0, 1}}, columns);
    write_pseudo_labels(file, 3, {{{2, 0, 0.5f}}, {1}}, columns);
    write_pseudo_labels(file, 3, {{{2, 0, 0.75f}}, {1}}, columns);
    std::ifstream stream(file);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}),
              "filename,scene_label,confidence,used,stage\na,\"Park, urban\",0.250000,0,2\n"
              "\"b, \"\"c\"\"\",Bus,1.000000,1,2\nd,Bus,0.750000,1,3\n");
}

TEST(PseudoLabels, TheFilesStageTwoIsNotStageTwelve) {
    const TemporaryFolder folder;
    StoreColumns columns;
    columns.names = {"a"};
    columns.classes = {"Bus"};
    const auto file = folder / "pseudo.csv";
    for (const int64_t stage : {12, 2, 22, 2}) write_pseudo_labels(file, stage, {{{0, 0, 0.5f}}, {1}}, columns);
    EXPECT_EQ(read_text(file), "filename,scene_label,confidence,used,stage\na,Bus,0.500000,1,12\n"
                               "a,Bus,0.500000,1,22\na,Bus,0.500000,1,2\n");
}

/// Runs with different settings of [pseudo].
class PseudoRun : public testing::Test {
protected:
    PseudoRun() : store_(small_store(folder_ / "store", {.clips = 120})) {
        config_.training.epochs = 2;
        config_.training.batch = 7;
    }
    RunResult train() {
        return train_system(*device_, store_, split_of(store_, config_), config_, folder_ / "run", {recorder_, stop_});
    }
    /// A tensor of the training state in last.safetensors.
    std::vector<float> state(const std::string& name) const {
        const SafetensorsFile last(folder_ / "run" / "last.safetensors");
        const auto values = last.tensor("state/" + name).as<float>();
        return {values.begin(), values.end()};
    }
    std::vector<float> probabilities(const std::string& model, std::span<const int32_t> clips) {
        return evaluate(*device_, folder_ / "run" / model, store_, clips, {recorder_, stop_}, config_.training.batch)
            .probabilities;
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    Recorder recorder_;
    std::atomic<bool> stop_{false};
    RunConfig config_ = small_config(2);
};

/// The threshold of each stage is the median of its confidences, so that half of the clips are used.
TEST_F(PseudoRun, SoftTargetsOfEveryRoundAreTheBestModelsDistributions) {
    config_.training.stages = 3;
    config_.pseudo.labels = PseudoSettings::Labels::Soft;
    const Split split = split_of(store_, config_);
    const auto run = folder_ / "run";
    for (const int stage : {2, 3}) {
        train_until(*device_, store_, config_, run, stage - 1, config_.training.epochs);
        const std::string best = "best_model_" + std::to_string(stage - 1) + ".safetensors";
        const std::vector<float> expected = probabilities(best, split.unlabelled);
        std::vector<float> confidences;
        for (size_t i = 0; i < split.unlabelled.size(); ++i)
            confidences.push_back(std::max({expected[3 * i], expected[3 * i + 1], expected[3 * i + 2]}));
        std::vector<float> sorted = confidences;
        std::sort(sorted.begin(), sorted.end());
        ASSERT_LT(sorted.front(), sorted.back());
        config_.pseudo.threshold = static_cast<double>(sorted[sorted.size() / 2]);
        write_text(run / "config.toml", to_toml(config_)); // as if the run had been started with this threshold
        train_until(*device_, store_, config_, run, stage, 1);

        const std::vector<float> targets = state("target");
        int64_t used = 0, lines = 0, used_lines = 0;
        for (size_t i = 0; i < split.unlabelled.size(); ++i) {
            const bool sure = static_cast<double>(confidences[i]) >= config_.pseudo.threshold;
            used += sure;
            for (size_t k = 0; k < 3; ++k)
                EXPECT_EQ(targets[static_cast<size_t>(split.unlabelled[i]) * 3 + k], sure ? expected[3 * i + k] : 0);
        }
        for (const CsvRow& row : read_csv(run / "pseudo_labels.csv").rows)
            if (row.fields[4] == std::to_string(stage)) ++lines, used_lines += std::stoi(row.fields[3]);
        EXPECT_EQ(lines, static_cast<int64_t>(split.unlabelled.size()));
        EXPECT_EQ(used_lines, used);
    }
    const RunResult result = train();
    EXPECT_EQ(result.checkpoint, run / "best_model_3.safetensors");
    EXPECT_EQ(find_checkpoint(run), result.checkpoint);
}

TEST_F(PseudoRun, AClassCapLimitsTheTrainingClips) {
    config_.pseudo.class_cap = 3;
    train();
    const TrainingClips clips = divide_training_clips(store_, split_of(store_, config_), config_.training);
    const std::vector<float> targets = state("target");
    const std::vector<float> labeller = probabilities("best_model_1.safetensors", clips.unlabelled.train);
    std::vector<int> predicted(3), trained(3);
    for (size_t i = 0; i < clips.unlabelled.train.size(); ++i) {
        const auto row = labeller.begin() + static_cast<int64_t>(3 * i);
        ++predicted[static_cast<size_t>(std::max_element(row, row + 3) - row)];
        for (size_t k = 0; k < 3; ++k)
            trained[k] += targets[static_cast<size_t>(clips.unlabelled.train[i]) * 3 + k] == 1;
    }
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(trained[k], std::min(predicted[k], 3)) << "class " << k;
}

TEST_F(PseudoRun, ConfidenceWeightsJoinThoseOfHardSamples) {
    config_ = small_config(3);
    config_.training.epochs = 1;
    config_.training.hard_confidence = Confidence::Entropy;
    config_.pseudo.weights = PseudoSettings::Weights::Confidence;
    train();
    const TrainingClips clips = divide_training_clips(store_, split_of(store_, config_), config_.training);
    const std::vector<int32_t> members = clips.train(2);
    const std::vector<float> teacher = probabilities("teacher/best_model_2.safetensors", members);
    const std::vector<float> labeller = probabilities("best_model_1.safetensors", members);
    std::vector<double> expected;
    double sum = 0;
    for (size_t i = 0; i < members.size(); ++i) {
        double entropy = 0;
        for (size_t k = 0; k < 3; ++k) {
            const double p = teacher[3 * i + k];
            if (p > 0) entropy -= p * std::log(p) / std::log(3.0);
        }
        const bool is_labelled = i < clips.labelled.train.size();
        const float* row = labeller.data() + 3 * i;
        const double own = is_labelled ? 1 : static_cast<double>(std::max({row[0], row[1], row[2]}));
        expected.push_back(own / (std::max(1 - entropy, 1.0 / 3) + 1e-8));
        sum += expected.back();
    }
    const std::vector<float> weights = state("weight");
    for (size_t i = 0; i < members.size(); ++i)
        EXPECT_NEAR(weights[static_cast<size_t>(members[i])], expected[i] * static_cast<double>(members.size()) / sum,
                    1e-4);
    for (int32_t clip : clips.unlabelled.validation) EXPECT_EQ(weights[static_cast<size_t>(clip)], 1.0f);
}

/// With this learning rate the network stays as initialised, and all confidences are low.
TEST_F(PseudoRun, AnImpossibleThresholdEndsTheRunWithItsReason) {
    config_.training.epochs = 1;
    config_.training.learning_rate = 1e-9;
    config_.pseudo.threshold = 0.9999;
    EXPECT_TRUE(fails_with([&] { train(); }, {"pseudo.threshold = 0.9999", "most confident"}));
}

} // namespace
} // namespace scene::test
