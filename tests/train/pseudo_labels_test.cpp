#include "train/pseudo_labels.h"

#include <cmath>
#include <fstream>
#include <numeric>

#include <gtest/gtest.h>

#include "data/csv.h"
#include "model/checkpoint.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/evaluate.h"
#include "train/trainer.h"

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

/// A run with pseudo labels of every kind.
class PseudoRun : public testing::Test {
protected:
    PseudoRun() : store_(small_store(folder_ / "store", {.clips = 120})) {
        config_.training.epochs = 2;
        config_.training.batch = 7;
    }
    RunResult train() {
        return train_system(*backend_, store_, split_of(store_, config_), config_, folder_ / "run", {recorder_, stop_});
    }
    /// Of the last stage's training.
    std::vector<float> state(const std::string& name) const {
        const SafetensorsFile last(folder_ / "run" / "last.safetensors");
        const auto values = last.tensor("state/" + name).as<float>();
        return {values.begin(), values.end()};
    }
    std::vector<float> probabilities(const std::string& model, std::span<const int32_t> clips) {
        return evaluate(*backend_, folder_ / "run" / model, store_, clips, {recorder_, stop_}).probabilities;
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Backend> backend_ = make_cpu_backend(1);
    Recorder recorder_;
    std::atomic<bool> stop_{false};
    RunConfig config_ = small_config(2);
};

TEST_F(PseudoRun, SoftTargetsOfEveryRoundAreTheBestModelsDistributions) {
    config_.training.stages = 3;
    config_.pseudo.labels = PseudoSettings::Labels::Soft;
    config_.pseudo.threshold = 0.6;
    const RunResult result = train();
    EXPECT_EQ(result.checkpoint, folder_ / "run" / "best_model_3.safetensors");
    EXPECT_EQ(find_checkpoint(folder_ / "run"), result.checkpoint);
    const Split split = split_of(store_, config_);
    const std::vector<float> expected = probabilities("best_model_2.safetensors", split.unlabelled);
    const std::vector<float> targets = state("target");
    size_t used = 0;
    for (size_t i = 0; i < split.unlabelled.size(); ++i) {
        const float* row = expected.data() + 3 * i;
        const bool sure = std::max({row[0], row[1], row[2]}) >= 0.6f;
        used += sure;
        for (size_t k = 0; k < 3; ++k)
            EXPECT_EQ(targets[static_cast<size_t>(split.unlabelled[i]) * 3 + k], sure ? row[k] : 0);
    }
    EXPECT_GT(used, 0u);
    EXPECT_LT(used, split.unlabelled.size());

    int64_t lines[4] = {}, used_lines[4] = {};
    for (const CsvRow& row : read_csv(folder_ / "run" / "pseudo_labels.csv").rows) {
        ++lines[std::stoi(row.fields[4])];
        used_lines[std::stoi(row.fields[4])] += std::stoi(row.fields[3]);
    }
    for (int stage : {2, 3}) EXPECT_EQ(lines[stage], static_cast<int64_t>(split.unlabelled.size()));
    EXPECT_EQ(used_lines[3], static_cast<int64_t>(used));
}

TEST_F(PseudoRun, AClassCapLimitsTheTrainingClips) {
    config_.pseudo.class_cap = 3;
    train();
    const TrainingClips clips = divide_training_clips(store_, split_of(store_, config_), config_.training);
    const std::vector<float> targets = state("target");
    std::vector<double> per_class(3);
    for (int32_t clip : clips.unlabelled.train)
        for (size_t k = 0; k < 3; ++k) per_class[k] += static_cast<double>(targets[static_cast<size_t>(clip) * 3 + k]);
    for (double count : per_class) EXPECT_LE(count, 3);
    EXPECT_GT(std::accumulate(per_class.begin(), per_class.end(), 0.0), 0);
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
            entropy -= p * std::log(p) / std::log(3.0);
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

TEST_F(PseudoRun, AnImpossibleThresholdEndsTheRunWithItsReason) {
    config_.pseudo.threshold = 0.9999;
    EXPECT_TRUE(fails_with([&] { train(); }, {"pseudo.threshold = 0.9999", "most confident"}));
}

} // namespace
} // namespace scene::test
