// Stopped and resumed runs, later stages, and what differs between the runs of a table or of repeats.

#include <algorithm>

#include "tests/support/expect_error.h"
#include "tests/train/scripted_run.h"
#include "train/evaluation/evaluate.h"
#include "train/run/history.h"
#include "train/run/repeats.h"
#include "train/run/table1.h"

namespace scene::test {
namespace {

using Json = nlohmann::json;

/// A run with all epochs but no result, whose best model was replaced: it finishes with that model, not with the last
/// one.
TEST_F(RunFiles, WhatIsFinishedWithoutTrainingIsStillTheBestModels) {
    train();
    std::filesystem::copy_file(run_.best_model(1), run_.best_model(2),
                               std::filesystem::copy_options::overwrite_existing);
    for (const auto& file : {run_.result(), run_.predictions(), run_.report()}) std::filesystem::remove(file);
    const RunResult result = train();
    EXPECT_TRUE(std::none_of(device_.steps.begin(), device_.steps.end(), [](const auto& s) { return s.training; }));
    expect_predictions(best_age(1), split_.test);
    EXPECT_EQ(parse_json(read_text(run_.result()))["test_confusion"], Json(test_matrix(best_age(1))));
    EXPECT_EQ(result.test->count(0, 1), test_matrix(best_age(1))[0][1]);
    EXPECT_TRUE(std::filesystem::exists(run_.report()));
    EXPECT_EQ(find_checkpoint(run_.folder), run_.best_model(2));
}

/// Stopped between two stages: the next stage starts from the best model's file, not from the last state, and predicts
/// with the teacher again.
TEST_F(RunFiles, AStageThatBeginsAfterAStopStartsFromTheBestModel) {
    config_.training.hard_samples = true;
    recorder_.after_epoch = [&](const EpochRecord& record) { stop_ = record.stage == 1 && record.epoch == epochs; };
    EXPECT_THROW(train(), Interrupted); // the teacher
    stop_ = false;
    EXPECT_THROW(train(), Interrupted);
    EXPECT_EQ(age_in(run_.last()), age(1, epochs));
    stop_ = false;
    recorder_.after_epoch = nullptr;
    train();
    const auto first =
        std::find_if(device_.steps.begin(), device_.steps.end(), [](const auto& step) { return step.training; });
    ASSERT_NE(first, device_.steps.end());
    EXPECT_FALSE(first->model.se_trans);
    EXPECT_EQ(first->model.age, best_age(1));
    EXPECT_TRUE(first->fresh_moments);
    EXPECT_NE(first->weights, std::vector<float>(first->weights.size(), 1.0f));
    EXPECT_EQ(age_in(run_.best_model(2)), best_age(2));
    expect_predictions(best_age(2), split_.test);
}

/// Runs of one stage that are continued with more epochs.
class LongerRun : public RunFiles {
protected:
    LongerRun() { config_.training.stages = 1; }

    std::vector<std::string> files() const {
        std::vector<std::string> texts;
        for (const auto& file : {run_.best_model(1), run_.last(), run_.predictions(), run_.config()})
            texts.push_back(read_text(file));
        return texts;
    }
    /// The files of a run that had the longer settings from the start. Its folder is removed.
    std::vector<std::string> files_of_one_go() {
        train();
        const std::vector<std::string> out = files();
        std::filesystem::remove_all(run_.folder);
        return out;
    }
};

/// The learning rate depends on the epoch only, so a continued run equals a run with the longer settings from the
/// start.
TEST_F(LongerRun, MoreEpochsContinueAFinishedRunAsIfItHadBegunSo) {
    config_.training.early_stop = 0;
    config_.training.epochs = epochs + 2;
    const std::vector<std::string> expected = files_of_one_go();
    config_.training.epochs = epochs;
    train();
    EXPECT_NE(files(), expected);
    config_.training.epochs = epochs + 2;
    train();
    EXPECT_EQ(recorder_.epochs.size(), 2u);
    EXPECT_EQ(files(), expected);
    train();
    EXPECT_TRUE(recorder_.epochs.empty()) << "it is complete again";
}

TEST_F(LongerRun, MorePatienceContinuesARunThatStoppedEarly) {
    config_.training.epochs = best_epoch + 5;
    config_.training.early_stop = 3;
    const std::vector<std::string> expected = files_of_one_go();
    config_.training.early_stop = 1;
    train();
    ASSERT_EQ(recorder_.epochs.size(), static_cast<size_t>(best_epoch + 1));
    config_.training.early_stop = 3;
    train();
    EXPECT_EQ(recorder_.epochs.size(), 2u);
    EXPECT_EQ(files(), expected);
}

TEST_F(LongerRun, ARunThatStoppedEarlyIsNotLengthenedByMoreEpochs) {
    config_.training.early_stop = 1;
    config_.training.epochs = best_epoch + 2;
    train();
    const std::string last = read_text(run_.last());
    config_.training.epochs = best_epoch + 5;
    train();
    EXPECT_TRUE(recorder_.epochs.empty()) << "its patience is spent as before";
    EXPECT_EQ(read_text(run_.last()), last);
    EXPECT_TRUE(std::filesystem::exists(run_.result()));
}

TEST_F(RunFiles, OnlyTheLastStageIsLengthened) {
    config_.training.early_stop = 0;
    train();
    const std::string first = read_text(run_.best_model(1));
    config_.training.epochs = epochs + 1;
    train();
    ASSERT_EQ(recorder_.epochs.size(), 1u);
    EXPECT_EQ(recorder_.epochs[0].stage, 2);
    EXPECT_EQ(recorder_.epochs[0].epoch, epochs + 1);
    EXPECT_EQ(age_in(run_.last()), age(2, epochs + 1));
    EXPECT_EQ(read_text(run_.best_model(1)), first);
}

TEST_F(RunFiles, ALengthThatWouldHaveEndedTheStageEarlierIsRefused) {
    train();
    const std::string before = read_text(run_.config());
    config_.training.epochs = epochs - 1;
    EXPECT_TRUE(fails_with([&] { train(); }, {"stage 2 has 3 epochs already", "training.epochs = 2", "larger"}));
    config_.training.epochs = epochs;
    config_.training.learning_rate *= 2;
    EXPECT_TRUE(fails_with([&] { train(); }, {"started with other settings", "training.learning_rate"}));
    EXPECT_EQ(read_text(run_.config()), before);
}

/// Without a complete epoch the run may start again with other settings.
TEST_F(RunFiles, AFolderWithoutAFinishedEpochIsStartedOver) {
    train();
    for (const auto& file : {run_.last(), run_.result(), run_.best_model(1), run_.best_model(2)})
        std::filesystem::remove(file);
    std::ofstream(run_.folder / "notes.txt") << "mine";
    config_.training.learning_rate *= 2;
    config_.split.seed += 1;
    config_.training.stages = 1;
    train();
    EXPECT_EQ(load_config(run_.config()).training.learning_rate, config_.training.learning_rate);
    EXPECT_EQ(load_split(run_.split(), store_.clips()), split_);
    EXPECT_FALSE(std::filesystem::exists(run_.pseudo_labels())) << "of the start before";
    EXPECT_EQ(read_text(run_.folder / "notes.txt"), "mine");
    expect_predictions(best_age(1), split_.test);
}

TEST_F(RunFiles, NoModelAndNoFileOfAnotherProgramIsClearedAway) {
    std::filesystem::create_directories(run_.folder);
    for (const char* mine : {"config.toml", "predictions.csv", "report.html", "store.json"}) {
        std::ofstream(run_.folder / mine) << "{\"mine\": 1}";
        EXPECT_TRUE(fails_with([&] { train(); }, {run_.folder.string(), mine, "another run folder"}));
        EXPECT_EQ(read_text(run_.folder / mine), "{\"mine\": 1}");
        std::filesystem::remove(run_.folder / mine);
    }
    train();
    const std::string model = read_text(run_.best_model(2));
    for (const auto& file : {run_.last(), run_.result(), run_.best_model(1)}) std::filesystem::remove(file);
    config_.training.learning_rate *= 2;
    EXPECT_TRUE(fails_with([&] { train(); }, {"best_model_2.safetensors", "no last.safetensors"}));
    EXPECT_EQ(read_text(run_.best_model(2)), model);
}

/// The model of an epoch is written before last.safetensors.
TEST_F(RunFiles, AKillBehindTheFirstEpochsModelDoesThatEpochAgain) {
    recorder_.after_epoch = [&](const EpochRecord&) { stop_ = true; };
    EXPECT_THROW(train(), Interrupted);
    recorder_.after_epoch = nullptr;
    stop_ = false;
    std::filesystem::remove(run_.last());
    const std::filesystem::path first = folder_ / "first.safetensors";
    std::filesystem::copy_file(run_.best_model(1), first);
    train();
    ASSERT_FALSE(recorder_.epochs.empty());
    EXPECT_EQ(recorder_.epochs[0].epoch, 1);
    EXPECT_EQ(age_in(run_.best_model(1)), best_age(1));
    // Not such a model: one of a later epoch, and one of the first epoch if later epochs followed.
    for (const auto& file : {run_.last(), run_.result(), run_.best_model(2)}) std::filesystem::remove(file);
    const std::string metrics = read_text(run_.metrics());
    std::filesystem::remove(run_.metrics());
    EXPECT_TRUE(fails_with([&] { train(); }, {"best_model_1.safetensors", "no last.safetensors"}));
    std::ofstream(run_.metrics()) << metrics;
    std::filesystem::copy_file(first, run_.best_model(1), std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(fails_with([&] { train(); }, {"best_model_1.safetensors", "no last.safetensors"}));
}

TEST_F(RunFiles, AStopBeforeTheFirstEpochEndsLeavesNoFolder) {
    stop_ = true;
    EXPECT_THROW(train(), Interrupted);
    EXPECT_FALSE(std::filesystem::exists(run_.folder));
}

/// Refused before anything is written.
TEST_F(RunFiles, ARefusedFirstStartLeavesNoFolder) {
    config_.training.hard_samples = true;
    config_.training.teacher = (folder_ / "nowhere.safetensors").string();
    EXPECT_TRUE(fails_with([&] { train(); }, {"nowhere.safetensors"}));
    EXPECT_FALSE(std::filesystem::exists(run_.folder));
}

/// Stopped inside a stage: optimiser, dropout masks, targets and weights continue unchanged.
TEST_F(RunFiles, AnEpochAfterAStopGoesOnFromTheLastState) {
    config_.training.hard_samples = true;
    config_.pseudo.threshold = 0.57; // clips without a target stay out, too
    train();
    std::vector<StepSeen> whole;
    for (const StepSeen& step : device_.steps)
        if (step.training && !step.model.se_trans) whole.push_back(step);
    std::filesystem::remove_all(run_.folder);
    recorder_.after_epoch = [&](const EpochRecord& record) { stop_ = record.stage == 2 && record.epoch == 2; };
    EXPECT_THROW(train(), Interrupted); // in the teacher's second stage
    stop_ = false;
    EXPECT_THROW(train(), Interrupted); // in the student's
    stop_ = false;
    std::ofstream(run_.metrics(), std::ios::app) << "{\"stage\":2,\"ep"; // a truncated line
    recorder_.after_epoch = nullptr;
    train();
    std::vector<StepSeen> rest;
    for (const StepSeen& step : device_.steps) {
        EXPECT_FALSE(step.model.se_trans) << "the teacher is asked no more";
        if (step.training) rest.push_back(step);
    }
    ASSERT_EQ(static_cast<int64_t>(rest.size()), steps_of(2));
    const std::string log = read_text(run_.metrics());
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 6);
    EXPECT_EQ(log.find("{\"stage\":2,\"ep{"), std::string::npos);
    ASSERT_LT(trains(2).size(), clips_.train(2).size());
    const size_t skipped = whole.size() - rest.size();
    for (size_t i = 0; i < rest.size(); ++i) {
        const StepSeen &now = rest[i], &then = whole[skipped + i];
        EXPECT_EQ(now.clips, then.clips);
        EXPECT_EQ(now.targets, then.targets);
        EXPECT_EQ(now.weights, then.weights);
        EXPECT_EQ(now.model.age, then.model.age);
        EXPECT_EQ(now.control.seed, then.control.seed);
        EXPECT_EQ(now.control.step, then.control.step);
        EXPECT_EQ(now.control.learning_rate, then.control.learning_rate);
        EXPECT_FALSE(now.fresh_moments);
    }
}

/// Stages above the second are scored with their own pseudo labels, and weight and list their own clips.
TEST_F(RunFiles, TheLastOfThreeStagesGivesTheResult) {
    config_.training.stages = 3;
    config_.training.hard_samples = true;
    config_.training.hard_threshold = 0.64;
    config_.training.choose_by = ChooseBy::Labelled;
    config_.pseudo.threshold = 0.57;
    config_.pseudo.labels = PseudoSettings::Labels::Soft;
    config_.pseudo.weights = PseudoSettings::Weights::Confidence;
    const RunResult result = train();
    ASSERT_NE(trains(2), trains(3));
    std::vector<std::pair<int32_t, int32_t>> labelled, all;
    const std::vector<EpochRecord> own(recorder_.epochs.end() - 9, recorder_.epochs.end()); // not the teacher's
    for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
        const int64_t now = age(3, epoch);
        labelled.clear();
        for (int32_t clip : clips_.labelled.validation) labelled.emplace_back(label(clip), own_answer(now, clip).label);
        all = labelled;
        for (int32_t clip : clips_.unlabelled.validation)
            if (const Answer truth = own_answer(best_age(2), clip); truth.confidence >= 0.57)
                all.emplace_back(truth.label, own_answer(now, clip).label);
        ASSERT_GT(all.size(), labelled.size());
        const EpochRecord& record = own[static_cast<size_t>(5 + epoch)];
        EXPECT_EQ(record.stage, 3);
        EXPECT_DOUBLE_EQ(record.validation_labelled, balanced(labelled));
        EXPECT_DOUBLE_EQ(record.validation_balanced_accuracy, balanced(all));
        if (epoch == best_epoch) {
            EXPECT_DOUBLE_EQ(result.pseudo_score.value(), balanced(all));
            EXPECT_DOUBLE_EQ(result.labelled_score.value(), balanced(labelled));
        }
    }
    EXPECT_EQ(result.checkpoint, run_.best_model(3));
    const CsvTable listed = read_csv(run_.hard_samples());
    std::map<std::string, int64_t> lines;
    for (const CsvRow& row : listed.rows) ++lines[row.fields[0]];
    EXPECT_EQ(result.hard_clips, lines["3"]);
    EXPECT_NE(lines["3"], lines["2"]);

    // Weights and targets of the last stage: equation (1) times the confidence, scaled to mean 1.
    const SafetensorsFile last(run_.last());
    const auto targets = last.tensor("state/target").as<float>(), weights = last.tensor("state/weight").as<float>();
    const std::vector<int32_t> members = trains(3);
    const int64_t teacher = age_in(RunFolder{run_.teacher()}.best_model(3));
    const auto weighed = [&](int32_t clip) {
        const bool known = std::binary_search(split_.labelled.begin(), split_.labelled.end(), clip);
        const double own_part = known ? 1 : own_answer(best_age(2), clip).confidence;
        return own_part / (answer({teacher, true}, clip).confidence + 1e-8);
    };
    double sum = 0;
    for (int32_t clip : members) sum += weighed(clip);
    for (int32_t clip : members)
        EXPECT_NEAR(weights[static_cast<size_t>(clip)], weighed(clip) * static_cast<double>(members.size()) / sum,
                    1e-5);
    for (int32_t clip : split_.unlabelled) {
        const Answer one = own_answer(best_age(2), clip);
        for (int32_t k = 0; k < 3; ++k)
            EXPECT_NEAR(targets[static_cast<size_t>(3 * clip + k)],
                        one.confidence < 0.57 ? 0
                        : k == one.label      ? one.confidence
                                              : (1 - one.confidence) / 2,
                        1e-6);
    }
}

/// Every stage chooses among all clips, also those that the stage before left out.
TEST_F(RunFiles, ACapHoldsInEveryStage) {
    config_.training.stages = 3;
    config_.pseudo.threshold = 0.5;
    config_.pseudo.class_cap = 2;
    train();
    std::set<std::set<int32_t>> chosen;
    for (const int64_t stage : {2, 3}) {
        const int64_t labeller = age_in(run_.best_model(stage - 1));
        std::set<int32_t> expected, used;
        for (int32_t k = 0; k < 3; ++k) {
            std::vector<int32_t> sure;
            for (int32_t clip : clips_.unlabelled.train)
                if (const Answer one = own_answer(labeller, clip); one.label == k && one.confidence >= 0.5)
                    sure.push_back(clip);
            std::stable_sort(sure.begin(), sure.end(), [&](int32_t a, int32_t b) {
                return own_answer(labeller, a).confidence > own_answer(labeller, b).confidence;
            });
            ASSERT_GT(sure.size(), 2u);
            expected.insert(sure.begin(), sure.begin() + 2);
        }
        for (int32_t clip : clips_.unlabelled.validation)
            if (own_answer(labeller, clip).confidence >= 0.5) expected.insert(clip);
        for (const CsvRow& row : read_csv(run_.pseudo_labels()).rows)
            if (row.fields[4] == std::to_string(stage) && row.fields[3] == "1")
                used.insert(static_cast<int32_t>(std::stoi(row.fields[0].substr(4)))); // "clip7"
        EXPECT_EQ(used, expected) << stage;
        chosen.insert(used);
    }
    EXPECT_EQ(chosen.size(), 2u) << "the stages choose otherwise";
}

/// The files of a run of three stages, without timings and paths.
std::map<std::string, std::string> written(const RunFolder& run) {
    std::map<std::string, std::string> files;
    for (const char* name :
         {"best_model_1.safetensors", "best_model_2.safetensors", "best_model_3.safetensors", "last.safetensors",
          "pseudo_labels.csv", "hard_samples.csv", "split.json", "predictions.csv", "result.json", "confusion.csv"})
        files[name] = read_text(run.folder / name);
    return files;
}

/// A run that is stopped in stage 2, between stages and twice in stage 3 ends with the same files.
TEST_F(RunFiles, AStopInOrBeforeALaterStageChangesNothing) {
    give_teacher();
    config_.training.stages = 3;
    config_.pseudo.threshold = 0.57;
    config_.pseudo.class_cap = 9;
    config_.pseudo.labels = PseudoSettings::Labels::Soft;
    config_.pseudo.weights = PseudoSettings::Weights::Confidence;
    train();
    const auto whole = written(run_);
    std::filesystem::remove_all(run_.folder);
    for (const auto& [stage, epoch] : {std::pair(2, 2), {2, 3}, {3, 1}, {3, 2}}) {
        recorder_.after_epoch = [&](const EpochRecord& record) {
            stop_ = record.stage == stage && record.epoch == epoch;
        };
        EXPECT_THROW(train(), Interrupted);
        stop_ = false;
    }
    recorder_.after_epoch = nullptr;
    train();
    for (const auto& [name, content] : written(run_)) EXPECT_TRUE(content == whole.at(name)) << name;
}

/// Labels that a fold split hides, and those of the test, change nothing but the test scores.
TEST_F(RunFiles, NoHiddenAndNoTestLabelReachesTheTraining) {
    give_teacher();
    config_.split.name = "fold:1";
    config_.split.labelled_share = 0.5;
    config_.training.stages = 3;
    config_.pseudo.threshold = 0.5;
    train();
    const auto before = written(run_);
    StoreColumns columns = store_.columns();
    for (const auto* part : {&split_.unlabelled, &split_.test})
        for (int32_t clip : *part) columns.label[static_cast<size_t>(clip)] = clip / 3 % 5 == 0 ? -1 : clip / 3 % 2;
    write_feature_store(folder_ / "other", columns, store_.logmel());
    const FeatureStore other = FeatureStore::open(folder_ / "other");
    const RunFolder run{folder_ / "other run"};
    train_system(device_, other, split_, config_, run.folder, {recorder_, stop_});
    for (const auto& [name, content] : written(run)) {
        const bool tells = name == "result.json" || name == "confusion.csv";
        EXPECT_EQ(content == before.at(name), !tells) << name;
    }
}

/// Every seed of a table and of repeats has its own draw of the split, initial values and teacher.
TEST_F(RunFiles, TheThirdSeedHasItsOwnDrawAndTeacher) {
    config_.training.epochs = config_.training.stages = 1;
    split_ = split_of(store_, config_);
    clips_ = divide_training_clips(store_, split_, config_.training);
    run_table1(device_, store_, config_, {{"simulation"}, 3}, folder_ / "table", {recorder_, stop_});
    std::set<std::vector<int32_t>> tests;
    for (const uint64_t step : {0, 1, 2}) {
        const std::string seed = fmt::format("seed-{}", 1234 + step);
        SplitSettings drawn = config_.split;
        drawn.seed += step;
        for (int system = 1; system <= 4; ++system) {
            const RunFolder run{folder_ / "table" / "simulation" / fmt::format("system{}", system) / seed};
            const RunConfig config = load_config(run.config());
            EXPECT_EQ(config.split.seed, 1234 + step);
            EXPECT_EQ(config.training.seed, 1234 + step);
            EXPECT_EQ(load_split(run.split(), store_.clips()), split_of(store_.columns(), drawn));
            if (system >= 3) {
                EXPECT_NE(config.training.teacher.find("system1/" + seed + "/"), std::string::npos) << seed;
            }
        }
        tests.insert(split_of(store_.columns(), drawn).test);
    }
    EXPECT_EQ(tests.size(), 3u);

    config_.training.hard_samples = true;
    config_.training.teacher = (folder_ / "table" / "simulation/system1/seed-1234/best_model_1.safetensors").string();
    recorder_.messages.clear();
    const auto run = folder_ / "repeats";
    const Summary summary = train_repeats(device_, store_, config_, 3, run, {recorder_, stop_});
    EXPECT_EQ(summary.runs, (std::vector<std::string>{"seed-1234", "seed-1235", "seed-1236"}));
    for (const uint64_t step : {0, 1, 2}) {
        SplitSettings drawn = config_.split;
        drawn.seed += step;
        const RunFolder one{run / fmt::format("seed-{}", 1234 + step)};
        EXPECT_EQ(load_split(one.split(), store_.clips()), split_of(store_.columns(), drawn));
    }
    ASSERT_FALSE(recorder_.messages.empty());
    EXPECT_NE(recorder_.messages[0].find("weighs the clips of all 3 runs"), std::string::npos);
}

/// Systems #3 and #4 of a table use the given teacher, and the table's System #1 only if none is given.
TEST_F(RunFiles, ATablesTeacherIsTheOneThatIsGiven) {
    const auto teacher_of = [&](const std::string& given, const std::string& table, int system) {
        config_.training.teacher = given;
        config_.training.epochs = config_.training.stages = 1;
        run_table1(device_, store_, config_, {{"simulation"}, 1}, folder_ / table, {recorder_, stop_});
        const auto run = folder_ / table / "simulation" / fmt::format("system{}", system) / "seed-1234";
        return load_config(run / "config.toml").training.teacher;
    };
    split_ = split_of(store_, config_);
    clips_ = divide_training_clips(store_, split_, config_.training);
    const auto own = folder_ / "a" / "simulation/system1/seed-1234/best_model_1.safetensors";
    EXPECT_EQ(teacher_of("train", "a", 3), own.string());
    EXPECT_EQ(teacher_of(own.string(), "b", 4), own.string());
}

} // namespace
} // namespace scene::test
