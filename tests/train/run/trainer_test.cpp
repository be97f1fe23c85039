#include "train/run/trainer.h"

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
#include "train/config/schedule.h"
#include "train/config/step_config.h"
#include "train/evaluation/evaluate.h"
#include "train/run/history.h"
#include "train/run/run_folder.h"
#include "train/run/stages.h"
#include "train/training_session.h"

namespace scene::test {
namespace {

/// A store, a device and a folder for one run.
class Trainer : public testing::Test {
protected:
    explicit Trainer(const SmallStoreOptions& options = {}) : store_(small_store(folder_ / "store", options)) {}

    RunResult train(const RunConfig& config, const std::string& run = "run") {
        recorder_.epochs.clear();
        return train_system(*device_, store_, split_of(store_, config), config, folder_ / run, {recorder_, stop_});
    }
    std::filesystem::path in_run(const std::string& name) const { return folder_.path() / "run" / name; }

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    Recorder recorder_;
    std::atomic<bool> stop_{false};
};

std::vector<std::string> lines_of(const std::filesystem::path& file) {
    std::ifstream stream(file);
    EXPECT_TRUE(stream) << file;
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// Little noise and many steps for so few clips, so that the training succeeds with any seed.
class EasyTrainer : public Trainer {
protected:
    EasyTrainer() : Trainer({.clips = 120, .labelled_of_ten = 8, .noise = 1}) {}
};

TEST_F(EasyTrainer, LearnsInTwoStagesAndLeavesTheRunFolder) {
    RunConfig config = small_config(2);
    config.training.epochs = 6;
    config.training.batch = 3;
    config.training.learning_rate = 5e-3;
    const Split split = split_of(store_, config);
    const RunResult result = train(config);
    ASSERT_TRUE(result.test);
    EXPECT_EQ(result.test->total(), static_cast<int64_t>(split.test.size()));
    // Chance is 0.33. Measured with 20 seeds: 1 with SIMD vectors of 16 and 8 floats, 0.958 to 1 with 4.
    EXPECT_GT(result.test->balanced_accuracy(), 0.8);
    EXPECT_EQ(result.checkpoint, in_run("best_model_2.safetensors"));
    EXPECT_FALSE(result.was_complete);

    EXPECT_EQ(load_config(in_run("config.toml")), config);
    EXPECT_EQ(load_split(in_run("split.json"), store_.clips()), split);
    const auto metrics = lines_of(in_run("metrics.jsonl"));
    ASSERT_EQ(metrics.size(), recorder_.epochs.size());
    for (size_t i = 0; i < metrics.size(); ++i) EXPECT_EQ(metrics[i], epoch_json(recorder_.epochs[i]));
    EXPECT_EQ(read_csv(in_run("pseudo_labels.csv")).rows.size(), split.unlabelled.size());
    const CsvTable predictions = read_csv(in_run("predictions.csv"));
    EXPECT_EQ(predictions.header_text(), "filename, scene_label");
    ASSERT_EQ(predictions.rows.size(), split.test.size());
    EXPECT_EQ(predictions.rows[0].fields[0], store_.columns().names[static_cast<size_t>(split.test[0])]);
    for (const char* name : {"best_model_1.safetensors", "last.safetensors", "report.html", "result.json",
                             "confusion.txt", "confusion.csv", "confusion.svg"})
        EXPECT_TRUE(std::filesystem::exists(in_run(name))) << name;
    EXPECT_FALSE(std::filesystem::exists(in_run("hard_samples.csv")));
    int event_files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(in_run("")))
        event_files += entry.path().filename().string().find("tfevents") != std::string::npos;
    EXPECT_EQ(event_files, 1);
}

TEST_F(Trainer, ScoresAreThoseOfTheSavedModels) {
    const RunConfig config = small_config(2);
    const RunResult result = train(config);
    const TrainingClips clips = divide_training_clips(store_, split_of(store_, config), config.training);
    const Session session{recorder_, stop_};
    const auto score = [&](const char* model, std::span<const int32_t> rows) {
        return evaluate(*device_, in_run(model), store_, rows, session, config.training.batch).confusion;
    };
    EXPECT_DOUBLE_EQ(score("best_model_1.safetensors", clips.labelled.validation).balanced_accuracy(),
                     result.train_score);
    EXPECT_DOUBLE_EQ(score("best_model_2.safetensors", clips.labelled.validation).balanced_accuracy(),
                     *result.labelled_score);
    EXPECT_EQ(score("best_model_2.safetensors", split_of(store_, config).test), *result.test);

    // The pseudo labels are predictions of best_model_1, and the score of stage 2 counts them as true.
    const Split split = split_of(store_, config);
    const Evaluation first = evaluate(*device_, in_run("best_model_1.safetensors"), store_, split.unlabelled, session);
    const Evaluation second =
        evaluate(*device_, in_run("best_model_2.safetensors"), store_, clips.unlabelled.validation, session);
    Confusion confusion = score("best_model_2.safetensors", clips.labelled.validation);
    const CsvTable pseudo = read_csv(in_run("pseudo_labels.csv"));
    const auto label_of = [](std::span<const float> row) {
        return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    };
    for (size_t i = 0; i < split.unlabelled.size(); ++i) {
        const auto row = std::span(first.probabilities).subspan(i * 3, 3);
        EXPECT_EQ(pseudo.rows[i].fields[0], store_.columns().names[static_cast<size_t>(split.unlabelled[i])]);
        EXPECT_EQ(pseudo.rows[i].fields[1], store_.columns().classes[static_cast<size_t>(label_of(row))]);
        EXPECT_NEAR(std::stod(pseudo.rows[i].fields[2]), row[static_cast<size_t>(label_of(row))], 1e-6);
        const auto& validation = clips.unlabelled.validation;
        const auto held_out = std::find(validation.begin(), validation.end(), split.unlabelled[i]);
        if (held_out == validation.end()) continue;
        const auto j = static_cast<size_t>(held_out - validation.begin());
        confusion.add(label_of(row), label_of(std::span(second.probabilities).subspan(j * 3, 3)));
    }
    EXPECT_DOUBLE_EQ(confusion.balanced_accuracy(), *result.pseudo_score);
}

/// The first epoch of stage 2 is the best by one score and the worst by the other.
TEST_F(Trainer, TheScoreThatTheConfigNamesChoosesTheModelOfStageTwo) {
    RunConfig config = small_config(2);
    config.training.epochs = 2;
    for (const ChooseBy choose_by : {ChooseBy::Labelled, ChooseBy::Paper}) {
        config.training.choose_by = choose_by;
        const bool paper = choose_by == ChooseBy::Paper;
        const std::string run = paper ? "paper" : "labelled";
        train_until(*device_, store_, config, folder_ / run, 2, 1);
        set_last_scores(folder_ / run, -1, 2);
        const RunResult result = train(config, run);
        const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(result.checkpoint));
        EXPECT_EQ(info.training.at("epoch"), paper ? "2" : "1");
        ASSERT_EQ(recorder_.epochs.size(), 1u);
        EXPECT_EQ(result.pseudo_score, paper ? recorder_.epochs[0].validation_balanced_accuracy : -1);
        EXPECT_EQ(result.labelled_score, paper ? recorder_.epochs[0].validation_labelled : 2);
    }
}

/// Repeats stage 2 step by step from the files of stage 1. It must start from the best model of stage 1 (not the last
/// one), with zeroed moments and the first learning rate, and train on true and pseudo labels.
TEST_F(Trainer, StageTwoStartsFromTheBestModelWithAFreshOptimizer) {
    RunConfig config = small_config(2);
    config.training.epochs = 2;
    config.training.decay_every = 1;
    config.training.decay = 0.5;
    train_until(*device_, store_, config, in_run(""), 1, 1);
    set_last_scores(in_run(""), 2, 2); // so that the second epoch's model is the last and not the best
    train(config);
    ASSERT_EQ(read_checkpoint_info(SafetensorsFile(in_run("best_model_1.safetensors"))).training.at("epoch"), "1");
    const StageState second = stage_state(recorder_.epochs, 2, config.training);

    const Split split = split_of(store_, config);
    const TrainingClips clips = divide_training_clips(store_, split, config.training);
    StepConfig step;
    step.model = model_for(config.model, store_);
    step.batch = config.training.batch;
    TrainingSession training(*device_, store_, step, clips.batches(config.training), {});
    load_checkpoint(SafetensorsFile(in_run("best_model_1.safetensors")), training.executor());
    training.prepare_inference();
    training.infer(split.unlabelled, [](int64_t) {});
    training.restart_optimizer(stage_seed(config.training.seed, 2));
    training.set_targets(stage_targets(store_, split, predictions_of(training.probabilities(), split.unlabelled, 3)));
    for (int64_t epoch = 1; epoch <= second.best_epoch; ++epoch)
        training.train(epoch_order(clips.train(2), config.training.seed, 2, epoch),
                       learning_rate(config.training, epoch), [](int64_t) {});
    save_checkpoint(folder_ / "again", {}, training.executor());
    const SafetensorsFile again(folder_ / "again"), best(in_run("best_model_2.safetensors"));
    for (const SafetensorsEntry& entry : again.tensors())
        EXPECT_TRUE(std::ranges::equal(entry.bytes, best.tensor(entry.name).bytes)) << entry.name;
}

TEST_F(Trainer, TheSameSeedGivesTheSameBits) {
    const RunConfig config = small_config(2);
    train(config, "a");
    train(config, "b");
    RunConfig other = config;
    other.training.seed = 77;
    train(other, "c");
    for (const char* name : {"best_model_1.safetensors", "best_model_2.safetensors", "last.safetensors"})
        EXPECT_TRUE(lines_of(folder_ / "a" / name) == lines_of(folder_ / "b" / name)) << name;
    EXPECT_FALSE(lines_of(folder_ / "a" / "last.safetensors") == lines_of(folder_ / "c" / "last.safetensors"));
}

/// The threshold is the median of the teacher's confidences: half of the clips are hard.
TEST_F(Trainer, HardSampleWeightsHaveMeanOneOverTheStagesClips) {
    RunConfig teacher_config = small_config(1);
    teacher_config.training.epochs = 1;
    RunConfig config = small_config(4);
    config.training.epochs = 1;
    config.training.teacher = train(teacher_config, "teacher").checkpoint.string();
    const TrainingClips clips = divide_training_clips(store_, split_of(store_, config), config.training);
    const std::vector<int32_t> members = clips.train(2);
    const Evaluation teacher =
        evaluate(*device_, config.training.teacher, store_, members, {recorder_, stop_}, config.training.batch);
    std::vector<double> confidences, sorted;
    for (size_t i = 0; i < members.size(); ++i)
        confidences.push_back(*std::max_element(teacher.probabilities.begin() + static_cast<int64_t>(3 * i),
                                                teacher.probabilities.begin() + static_cast<int64_t>(3 * i + 3)));
    sorted = confidences;
    std::sort(sorted.begin(), sorted.end());
    ASSERT_LT(sorted.front(), sorted.back());
    config.training.hard_threshold = sorted[sorted.size() / 2];
    const auto hard = std::lower_bound(sorted.begin(), sorted.end(), config.training.hard_threshold) - sorted.begin();
    const RunResult result = train(config);
    const SafetensorsFile last(in_run("last.safetensors"));
    const auto weights = last.tensor("state/weight").as<float>();

    double mean = 0, unscaled = 0;
    for (double confidence : confidences) unscaled += 1 / (confidence + 1e-8);
    for (size_t i = 0; i < members.size(); ++i) {
        const double weight = weights[static_cast<size_t>(members[i])];
        const double expected = static_cast<double>(members.size()) / (confidences[i] + 1e-8) / unscaled;
        EXPECT_NEAR(weight, expected, 1e-5);
        mean += weight;
    }
    EXPECT_NEAR(mean / static_cast<double>(members.size()), 1, 1e-6);
    for (int32_t clip : clips.labelled.validation) EXPECT_EQ(weights[static_cast<size_t>(clip)], 1.0f);

    EXPECT_EQ(result.hard_clips, hard);
    int64_t listed_in_stage[3] = {}, hard_in_stage_1 = 0;
    for (const CsvRow& row : read_csv(in_run("hard_samples.csv")).rows) ++listed_in_stage[std::stoi(row.fields[0])];
    for (size_t i = 0; i < clips.labelled.train.size(); ++i)
        hard_in_stage_1 += confidences[i] < config.training.hard_threshold;
    EXPECT_EQ(listed_in_stage[2], hard);
    EXPECT_EQ(listed_in_stage[1], hard_in_stage_1);
}

TEST_F(Trainer, AGivenTeacherIsNotTrained) {
    RunConfig teacher = small_config(1);
    teacher.training.epochs = 1;
    RunConfig config = small_config(3);
    config.training.epochs = 1;
    config.training.teacher = train(teacher, "teacher").checkpoint.string();
    train(config);
    EXPECT_FALSE(std::filesystem::exists(in_run("teacher")));
    EXPECT_TRUE(std::filesystem::exists(in_run("hard_samples.csv")));
    config.training.teacher = (folder_ / "nothing.safetensors").string();
    EXPECT_TRUE(fails_with([&] { train(config, "other"); }, {"nothing.safetensors", "no such checkpoint"}));
}

/// The teacher's probabilities are read by class index.
TEST_F(Trainer, ATeacherWithTheSameClassesInAnotherOrderIsRefused) {
    RunConfig config = small_config(1);
    config.training.epochs = 1;
    StoreColumns columns = store_.columns();
    std::reverse(columns.classes.begin(), columns.classes.end());
    write_feature_store(folder_ / "turned", columns, store_.logmel());
    const FeatureStore turned = FeatureStore::open(folder_ / "turned");
    const Session session{recorder_, stop_};
    const auto teacher =
        train_system(*device_, turned, split_of(turned, config), config, folder_ / "teacher", session).checkpoint;
    config = small_config(3);
    config.training.teacher = teacher.string();
    EXPECT_TRUE(fails_with([&] { train(config); },
                           {"training.teacher = " + teacher.string(), "(class 2, class 1, class 0) are not those of",
                            "(class 0, class 1, class 2)"}));
}

TEST_F(Trainer, OneStageNeedsNoUnlabelledClips) {
    RunConfig config = small_config(2);
    config.training.stages = 1;
    config.training.epochs = 1;
    Split split = split_of(store_, config);
    split.unlabelled.clear();
    const RunResult result = train_system(*device_, store_, split, config, folder_ / "run", {recorder_, stop_});
    EXPECT_FALSE(result.pseudo_score);
    EXPECT_EQ(result.checkpoint, in_run("best_model_1.safetensors"));
    EXPECT_FALSE(std::filesystem::exists(in_run("best_model_2.safetensors")));
    config.training.stages = 2;
    recorder_.messages.clear();
    EXPECT_FALSE(train_system(*device_, store_, split, config, folder_ / "two", {recorder_, stop_}).pseudo_score);
    EXPECT_EQ(recorder_.messages.at(0), "split '" + split.name + "' has no unlabelled clips: stage 1 only");
}

TEST_F(Trainer, WithoutTestClipsTheUnlabelledOnesArePredicted) {
    RunConfig config = small_config(2);
    config.training.epochs = 1;
    config.split.name = "experiment";
    const RunResult result = train(config);
    EXPECT_FALSE(result.test);
    EXPECT_EQ(read_csv(in_run("predictions.csv")).rows.size(), split_of(store_, config).unlabelled.size());
}

TEST_F(Trainer, ACompleteRunSaysSo) {
    RunConfig config = small_config(2);
    config.training.epochs = 1;
    const RunResult before = train(config);
    const auto time = std::filesystem::last_write_time(in_run("last.safetensors"));
    const RunResult again = train(config);
    EXPECT_TRUE(again.was_complete);
    EXPECT_EQ(again.test, before.test);
    EXPECT_EQ(again.train_score, before.train_score);
    EXPECT_EQ(again.pseudo_score, before.pseudo_score);
    EXPECT_EQ(again.labelled_score, before.labelled_score);
    EXPECT_EQ(again.checkpoint, before.checkpoint);
    EXPECT_EQ(again.split, "simulation");
    EXPECT_TRUE(recorder_.epochs.empty());
    EXPECT_EQ(std::filesystem::last_write_time(in_run("last.safetensors")), time);
}

TEST_F(Trainer, ARunFolderBelongsToOneRun) {
    RunConfig config = small_config(2);
    config.training.epochs = 1;
    train(config);
    RunConfig other = config;
    other.training.batch = 9;
    other.runtime.threads = 2; // no difference of the run
    EXPECT_TRUE(fails_with([&] { train(other); }, {in_run("").parent_path().string(), "training.batch = 9 (was 8)"}));
    other.training.batch = 8;
    EXPECT_NO_THROW(train(other));

    const Session session{recorder_, stop_};
    Split split = split_of(store_, config);
    std::swap(split.test, split.labelled);
    EXPECT_TRUE(fails_with([&] { train_system(*device_, store_, split, config, folder_ / "run", session); },
                           {"another split"}));
    const FeatureStore fewer = small_store(folder_ / "fewer", {.clips = 57});
    const FeatureStore changed = small_store(folder_ / "changed", {.noise = 5});
    EXPECT_THROW(train_system(*device_, fewer, split_of(fewer, config), config, folder_ / "run", session), Error);
    EXPECT_TRUE(fails_with(
        [&] { train_system(*device_, changed, split_of(changed, config), config, folder_ / "run", session); },
        {"another store", "clips or features differ"}));
}

TEST_F(Trainer, ASecondProcessIsKeptOut) {
    const RunFolder run{folder_ / "run"};
    const RunLock lock(run);
    EXPECT_TRUE(fails_with([&] { train(small_config(2)); }, {run.folder.string(), "another process"}));
}

TEST_F(Trainer, AFolderThatCannotBeMadeIsNamed) {
    std::ofstream(folder_ / "file") << "x";
    EXPECT_TRUE(fails_with([&] { train(small_config(2), "file/run"); }, {"file/run", "run folder"}));
}

TEST_F(Trainer, StopsBetweenStepsAndGoesOn) {
    RunConfig config = small_config(2);
    train(config, "whole");
    recorder_.after_epoch = [&](const EpochRecord& record) { stop_ = record.stage == 1 && record.epoch == 2; };
    EXPECT_TRUE(fails_with([&] { train(config); }, {"stopped in stage 1 epoch 3/3", "run the same command again",
                                                    "last.safetensors (stage 1 epoch 2)"}));
    EXPECT_THROW(train(config), Interrupted);
    stop_ = false;
    recorder_.after_epoch = nullptr;
    train(config);
    for (const char* name : {"best_model_1.safetensors", "best_model_2.safetensors", "last.safetensors"})
        EXPECT_TRUE(lines_of(in_run(name)) == lines_of(folder_ / "whole" / name)) << name;
}

/// The learning rate is 1e30 in the second epoch.
TEST_F(Trainer, ALossThatTurnsNanStopsTheRunAndKeepsTheLastGoodEpoch) {
    RunConfig config = small_config(2);
    config.training.decay = 1e33;
    config.training.decay_every = 1;
    EXPECT_TRUE(fails_with([&] { train(config); }, {"stage 1 epoch 2", "no longer finite",
                                                    in_run("last.safetensors").string() + " (stage 1 epoch 1)",
                                                    "training.learning_rate (now 0.003)"}));
    EXPECT_EQ(lines_of(in_run("metrics.jsonl")).size(), 1u);
    EXPECT_EQ(read_checkpoint_info(SafetensorsFile(in_run("last.safetensors"))).training.at("epoch"), "1");
    EXPECT_EQ(read_checkpoint_info(SafetensorsFile(in_run("best_model_1.safetensors"))).training.at("epoch"), "1");
    EXPECT_FALSE(std::filesystem::exists(in_run("result.json")));
}

TEST_F(Trainer, ALastCheckpointCutShortIsNamed) {
    RunConfig config = small_config(2);
    config.training.epochs = 1;
    train(config);
    std::filesystem::remove(in_run("result.json"));
    std::filesystem::resize_file(in_run("last.safetensors"),
                                 std::filesystem::file_size(in_run("last.safetensors")) - 9);
    EXPECT_TRUE(fails_with([&] { train(config); }, {in_run("last.safetensors").string()}));
}

} // namespace
} // namespace scene::test
