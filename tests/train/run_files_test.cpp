// Each file of a run against the model and the clips that should have made it. The networks follow a script in which
// the best epoch is neither the first nor the last of its stage, and every model has answers of its own.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/csv.h"
#include "kernels/json.h"
#include "model/checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/scripted_backend.h"
#include "tests/train/small_store.h"
#include "train/evaluate.h"
#include "train/history.h"
#include "train/repeats.h"
#include "train/run_folder.h"
#include "train/stages.h"
#include "train/table1.h"
#include "train/trainer.h"

namespace scene::test {
namespace {

using Json = nlohmann::json;

constexpr int64_t epochs = 3, batch = 8;
constexpr int64_t best_epoch = 2; ///< of every stage

class RunFiles : public testing::Test {
protected:
    RunFiles() : store_(small_store(folder_ / "store", {.clips = 120, .places = true, .groups = true})) {
        config_.system = "wired";
        config_.training.seed = 1234; // names of folders and orders of clips have it in them
        config_.training.batch = batch;
        config_.training.epochs = epochs;
        config_.training.hard_samples = false;
        config_.training.label_smoothing = 0.2;
        config_.training.learning_rate = 0.004;
        config_.training.decay = 0.5;
    }

    RunResult train() {
        split_ = split_of(store_.columns(), config_.split);
        clips_ = divide_training_clips(store_, split_, config_.training);
        validates_.clear();
        validates_.insert(clips_.labelled.validation.begin(), clips_.labelled.validation.end());
        backend_.steps.clear();
        recorder_.epochs.clear();
        return train_system(backend_, store_, split_, config_, run_.folder, {recorder_, stop_});
    }

    /// Hard samples with a teacher of one epoch.
    void give_teacher() {
        RunConfig teacher = as_system(config_, 1);
        teacher.training.epochs = teacher.training.stages = 1;
        config_.training.hard_samples = true;
        config_.training.teacher = train_system(backend_, store_, split_of(store_.columns(), config_.split), teacher,
                                                folder_ / "teacher", {recorder_, stop_})
                                       .checkpoint.string();
    }

    // ---- the script -------------------------------------------------------------------------------------------
    /// The clips of a stage: those with a label, and those whose pseudo label is confident enough.
    std::vector<int32_t> trains(int64_t stage) const {
        std::vector<int32_t> clips = clips_.labelled.train;
        if (stage == 1) return clips;
        for (int32_t clip : clips_.unlabelled.train)
            if (own_answer(best_age(stage - 1), clip).confidence >= config_.pseudo.threshold) clips.push_back(clip);
        return clips;
    }
    int64_t steps_of(int64_t stage) const { return (static_cast<int64_t>(trains(stage).size()) + batch - 1) / batch; }
    /// Steps behind the model after an epoch; each stage goes on from the best model of the one before.
    int64_t age(int64_t stage, int64_t epoch) const {
        const int64_t before = stage == 1 ? 0 : age(stage - 1, best_epoch);
        return before + epoch * steps_of(stage);
    }
    int64_t best_age(int64_t stage) const { return age(stage, best_epoch); }
    /// Clips that choose the epoch are known to the best models alone; of all others about two of three.
    Answer answer(const ScriptedModel& model, int32_t clip) const {
        const int64_t own = model.se_trans ? 4 : 0;
        bool right = (clip * 7 + model.age * 5 + own) % 11 < 7;
        if (validates_.contains(clip))
            right = model.age == best_age(1) || model.age == best_age(2) || model.age == best_age(3);
        return {right ? clip % 3 : (clip + 1) % 3, 0.4 + 0.05 * static_cast<double>((clip * 3 + model.age + own) % 11)};
    }
    Answer own_answer(int64_t model_age, int32_t clip) const { return answer({model_age, false}, clip); }

    // ---- what the tests compute themselves --------------------------------------------------------------------
    const std::string& name(int32_t clip) const { return store_.columns().names[static_cast<size_t>(clip)]; }
    int32_t label(int32_t clip) const { return store_.columns().label[static_cast<size_t>(clip)]; }
    /// -sum q log p of the answer, q the smoothed target.
    double loss(int64_t model_age, int32_t clip, int32_t target) const {
        const Answer one = own_answer(model_age, clip);
        double out = 0;
        for (int32_t k = 0; k < 3; ++k) {
            const double p = k == one.label ? one.confidence : (1 - one.confidence) / 2;
            out -= ((k == target ? 0.8 : 0) + 0.2 / 3) * std::log(p);
        }
        return out;
    }
    /// Mean over the classes of the share that is right.
    static double balanced(const std::vector<std::pair<int32_t, int32_t>>& true_and_predicted) {
        double right[3] = {}, all[3] = {}, sum = 0, classes = 0;
        for (const auto& [truth, predicted] : true_and_predicted) ++all[truth], right[truth] += truth == predicted;
        for (int k = 0; k < 3; ++k)
            if (all[k] > 0) sum += right[k] / all[k], ++classes;
        return sum / classes;
    }
    std::vector<std::vector<int64_t>> test_matrix(int64_t model_age) const {
        std::vector<std::vector<int64_t>> counts(3, std::vector<int64_t>(3));
        for (int32_t clip : split_.test)
            ++counts[static_cast<size_t>(label(clip))][static_cast<size_t>(own_answer(model_age, clip).label)];
        return counts;
    }
    int64_t age_in(const std::filesystem::path& file) const {
        const SafetensorsFile model(file);
        return std::llround(model.tensor("head.classifier.weight").as<float>()[0]);
    }
    void expect_predictions(int64_t model_age, const std::vector<int32_t>& clips) const {
        std::string expected = "filename,scene_label\n";
        for (int32_t clip : clips)
            expected += fmt::format("{},class {}\n", name(clip), own_answer(model_age, clip).label);
        EXPECT_EQ(read_text(run_.predictions()), expected);
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    RunFolder run_{folder_ / "run"};
    RunConfig config_ = small_config(4);
    Split split_;
    TrainingClips clips_;
    std::set<int32_t> validates_;
    ScriptedBackend backend_{[this](const ScriptedModel& model, int32_t clip) { return answer(model, clip); }};
    Recorder recorder_;
    std::atomic<bool> stop_{false};
};

TEST_F(RunFiles, CheckpointsHoldTheModelTheirNameSays) {
    config_.split.seed = 4321; // not the training's
    train();
    for (int64_t stage : {1, 2}) {
        EXPECT_EQ(age_in(run_.best_model(stage)), best_age(stage));
        const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(run_.best_model(stage)));
        const std::map<std::string, std::string> expected{{"stage", std::to_string(stage)},
                                                          {"epoch", std::to_string(best_epoch)},
                                                          {"best_epoch", std::to_string(best_epoch)},
                                                          {"best_validation_balanced_accuracy", "1"},
                                                          {"split", "simulation"},
                                                          {"seed", "1234"}};
        EXPECT_EQ(info.training, expected);
        EXPECT_EQ(info.system, "wired");
        EXPECT_EQ(info.classes, store_.columns().classes);
        EXPECT_EQ(info.cities, store_.columns().cities);
        EXPECT_EQ(info.fit_rule, "loop");
        EXPECT_EQ(info.features, store_.spec());
    }
    EXPECT_EQ(age_in(run_.last()), age(2, epochs));
    const CheckpointInfo last = read_checkpoint_info(SafetensorsFile(run_.last()));
    EXPECT_EQ(last.training.at("epoch"), "3");
    EXPECT_EQ(last.training.at("best_epoch"), "2");
    const std::vector<EpochRecord> history = parse_history_json(last.training.at("history"), "last");
    ASSERT_EQ(history.size(), 6u);
    for (size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(history[i].stage, i < 3 ? 1 : 2);
        EXPECT_EQ(history[i].epoch, static_cast<int64_t>(i % 3) + 1);
        EXPECT_EQ(history[i].best, i % 3 < 2) << "of the epochs until then";
    }
}

TEST_F(RunFiles, EveryStageStartsFromTheBestModelBeforeItWithAFreshOptimizer) {
    config_.training.stages = 3;
    train();
    std::vector<const StepSeen*> first; // step of every training pass
    for (const StepSeen& step : backend_.steps)
        if (step.training && step.control.cursor == 0) first.push_back(&step);
    ASSERT_EQ(first.size(), 9u);
    std::set<uint64_t> keys;
    for (int64_t stage = 1; stage <= 3; ++stage) {
        for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
            const StepSeen& step = *first[static_cast<size_t>(3 * stage + epoch - 4)];
            EXPECT_EQ(step.model.age, age(stage, epoch - 1));
            EXPECT_EQ(step.control.step, (epoch - 1) * steps_of(stage));
            EXPECT_EQ(step.fresh_moments, epoch == 1);
            EXPECT_FLOAT_EQ(step.control.learning_rate, epoch == 3 ? 0.002f : 0.004f);
            keys.insert(step.control.seed);
        }
    }
    EXPECT_EQ(keys.size(), 3u) << "each stage has dropout masks of its own";
    EXPECT_EQ(age_in(run_.best_model(3)), best_age(3));
    expect_predictions(best_age(3), split_.test);
}

TEST_F(RunFiles, EveryStepReadsFeaturesCityAndTimeOfItsClips) {
    config_.training.hard_samples = true;
    train();
    bool teacher = false, inference = false;
    for (const StepSeen& step : backend_.steps) {
        teacher |= step.model.se_trans;
        inference |= !step.training;
        ASSERT_EQ(step.features.size(), step.cities.size());
        ASSERT_EQ(step.features.size() * 8, step.times.size());
        for (size_t i = 0; i < step.clips.size(); ++i) {
            const auto clip = static_cast<size_t>(step.clips[i]);
            EXPECT_EQ(step.features[i], store_.logmel(step.clips[i])[0]);
            EXPECT_EQ(step.cities[i], store_.columns().city[clip]);
            for (size_t k = 0; k < 8; ++k) EXPECT_EQ(step.times[8 * i + k], store_.columns().time[8 * clip + k]);
        }
    }
    EXPECT_TRUE(teacher && inference);
}

TEST_F(RunFiles, PseudoLabelsOfEveryRoundAreTheBestModelsBeforeIt) {
    config_.training.stages = 3;
    train();
    const CsvTable file = read_csv(run_.pseudo_labels());
    EXPECT_EQ(file.header_text(), "filename, scene_label, confidence, used, stage");
    ASSERT_EQ(file.rows.size(), 2 * split_.unlabelled.size());
    for (size_t i = 0; i < file.rows.size(); ++i) {
        const std::vector<std::string>& fields = file.rows[i].fields;
        const int64_t round = i < split_.unlabelled.size() ? 2 : 3;
        const int32_t clip = split_.unlabelled[i % split_.unlabelled.size()];
        const Answer one = own_answer(best_age(round - 1), clip);
        EXPECT_EQ(fields[0], name(clip));
        EXPECT_EQ(fields[1], fmt::format("class {}", one.label));
        EXPECT_NEAR(std::stod(fields[2]), one.confidence, 2e-6);
        EXPECT_EQ(fields[3], "1");
        EXPECT_EQ(fields[4], std::to_string(round));
    }
    // Every clip trains with its own target: the true label, or that of the round.
    std::map<int64_t, std::set<int32_t>> trained; // by stage
    int64_t stage = 0, epoch = 0;
    for (const StepSeen& step : backend_.steps) {
        if (!step.training) continue;
        if (step.control.cursor == 0 && epoch++ % epochs == 0) ++stage;
        for (size_t i = 0; i < step.clips.size(); ++i) {
            const int32_t clip = step.clips[i];
            const bool labelled = std::binary_search(split_.labelled.begin(), split_.labelled.end(), clip);
            const int32_t target = labelled ? label(clip) : own_answer(best_age(stage - 1), clip).label;
            for (int32_t k = 0; k < 3; ++k) EXPECT_EQ(step.targets[3 * i + static_cast<size_t>(k)], k == target);
            EXPECT_EQ(step.weights[i], 1.0f);
            trained[stage].insert(clip);
        }
    }
    for (const auto& [number, clips] : trained) {
        std::set<int32_t> own(clips_.labelled.train.begin(), clips_.labelled.train.end());
        if (number > 1) own.insert(clips_.unlabelled.train.begin(), clips_.unlabelled.train.end());
        EXPECT_EQ(clips, own);
    }
}

TEST_F(RunFiles, SoftTargetsAreTheBestModelsDistributions) {
    config_.pseudo.labels = PseudoSettings::Labels::Soft;
    train();
    const SafetensorsFile last(run_.last());
    const auto targets = last.tensor("state/target").as<float>();
    for (int32_t clip : split_.unlabelled) {
        const Answer one = own_answer(best_age(1), clip);
        for (int32_t k = 0; k < 3; ++k)
            EXPECT_NEAR(targets[static_cast<size_t>(3 * clip + k)],
                        k == one.label ? one.confidence : (1 - one.confidence) / 2, 1e-6);
    }
    for (int32_t clip : split_.test)
        for (int32_t k = 0; k < 3; ++k) EXPECT_EQ(targets[static_cast<size_t>(3 * clip + k)], 0);
}

TEST_F(RunFiles, PredictionsMatrixResultAndReportAreTheLastStagesBestModels) {
    const RunResult result = train();
    const int64_t model = best_age(2);
    ASSERT_NE(test_matrix(model), test_matrix(age(2, epochs))) << "the last model answers otherwise";
    ASSERT_NE(test_matrix(model), test_matrix(best_age(1)));
    expect_predictions(model, split_.test);

    const auto matrix = test_matrix(model);
    std::string csv = "true\\predicted,class 0,class 1,class 2\n";
    std::vector<std::pair<int32_t, int32_t>> test, pseudo, labelled;
    for (size_t k = 0; k < 3; ++k)
        csv += fmt::format("class {},{},{},{}\n", k, matrix[k][0], matrix[k][1], matrix[k][2]);
    EXPECT_EQ(read_text(run_.folder / "confusion.csv"), csv);
    for (int32_t clip : split_.test) test.emplace_back(label(clip), own_answer(model, clip).label);
    for (int32_t clip : clips_.labelled.validation) labelled.emplace_back(label(clip), own_answer(model, clip).label);
    pseudo = labelled;
    for (int32_t clip : clips_.unlabelled.validation)
        pseudo.emplace_back(own_answer(best_age(1), clip).label, own_answer(model, clip).label);
    double right = 0;
    for (const auto& [truth, predicted] : test) right += truth == predicted;

    // Leaks, by the sessions' names.
    std::set<std::string> with_label, any;
    const auto session = [&](int32_t clip) { return store_.columns().sessions[static_cast<size_t>(clip)]; };
    for (int32_t clip : split_.labelled) with_label.insert(session(clip)), any.insert(session(clip));
    for (int32_t clip : split_.unlabelled) any.insert(session(clip));
    double leaked = 0, leaked_any = 0;
    for (int32_t clip : split_.test)
        leaked += with_label.contains(session(clip)), leaked_any += any.contains(session(clip));
    const double tests = static_cast<double>(split_.test.size());

    const Json json = parse_json(read_text(run_.result()));
    EXPECT_EQ(json["system"], "wired");
    EXPECT_EQ(json["split"], "simulation");
    EXPECT_EQ(json["train_balanced_accuracy"], 1.0);
    EXPECT_EQ(json["labelled_validation_balanced_accuracy"], 1.0);
    EXPECT_DOUBLE_EQ(json["pseudo_balanced_accuracy"].get<double>(), balanced(pseudo));
    EXPECT_LT(balanced(pseudo), 1);
    EXPECT_DOUBLE_EQ(json["test_balanced_accuracy"].get<double>(), balanced(test));
    EXPECT_DOUBLE_EQ(json["test_accuracy"].get<double>(), right / tests);
    EXPECT_EQ(json["test_confusion"], Json(matrix));
    EXPECT_EQ(json["classes"], Json(store_.columns().classes));
    EXPECT_EQ(json["checkpoint"], "best_model_2.safetensors");
    EXPECT_DOUBLE_EQ(json["leaked_share"].get<double>(), leaked / tests);
    EXPECT_DOUBLE_EQ(json["leaked_share_with_unlabelled"].get<double>(), leaked_any / tests);
    EXPECT_EQ(json["session_known_share"], 1.0);
    EXPECT_EQ(json["hard_clips"], 0);
    for (const auto& [part, column] : {std::pair("cities", std::string("Jinan")), {"devices", std::string("phone")}}) {
        std::vector<std::pair<int32_t, int32_t>> own;
        for (int32_t clip : split_.test) {
            const auto at = static_cast<size_t>(clip);
            const bool here =
                part == std::string("cities") ? store_.columns().city[at] == 1 : store_.columns().devices[at] == column;
            if (here) own.emplace_back(label(clip), own_answer(model, clip).label);
        }
        ASSERT_TRUE(json[part].contains(column)) << part;
        EXPECT_EQ(json[part][column]["clips"], own.size());
        EXPECT_DOUBLE_EQ(json[part][column]["balanced_accuracy"].get<double>(), balanced(own));
    }
    // What the caller gets, and what a complete run gives again, is what the file says.
    const RunResult again = train();
    EXPECT_TRUE(again.was_complete);
    for (const RunResult* one : {&result, &again}) {
        EXPECT_EQ(one->train_score, 1);
        EXPECT_DOUBLE_EQ(one->pseudo_score.value(), balanced(pseudo));
        EXPECT_EQ(one->labelled_score.value(), 1);
        EXPECT_DOUBLE_EQ(one->test.value().balanced_accuracy(), balanced(test));
        EXPECT_DOUBLE_EQ(one->leak.labelled, leaked / tests);
        EXPECT_DOUBLE_EQ(one->leak.any, leaked_any / tests);
        EXPECT_EQ(one->checkpoint, run_.best_model(2));
        EXPECT_EQ(one->split, "simulation");
        EXPECT_EQ(one->system, "wired");
        EXPECT_EQ(one->cities.size(), json["cities"].size());
        EXPECT_EQ(one->devices.size(), json["devices"].size());
    }

    const std::string title =
        fmt::format("System wired, test clips of split simulation, leaked {:.3f}", leaked / tests);
    EXPECT_EQ(read_text(run_.folder / "confusion.txt").rfind(title, 0), 0u);
    EXPECT_NE(read_text(run_.folder / "confusion.svg").find(title), std::string::npos);
    const std::string html = read_text(run_.report());
    for (const std::string& part :
         {std::string("Train (validation, stage 1)<b>1.000</b>"),
          fmt::format("Pseudo (validation, stage 2)<b>{:.3f}</b>", balanced(pseudo)),
          std::string("Stage 2, labelled clips only<b>1.000</b>"), fmt::format("Test<b>{:.3f}</b>", balanced(test)),
          std::string("label_smoothing = 0.2\n"), std::string("<td>class 2</td>"), std::string("<td>Jinan</td>"),
          std::string("<td>phone</td>"), std::string("<tr><td>2</td><td>2 *</td><td>0.004</td>"),
          std::string("<tr><td>2</td><td>3</td><td>0.002</td>")})
        EXPECT_NE(html.find(part), std::string::npos) << part;
    std::set<std::string> curves; // of five quantities, no two of which are the same here
    for (size_t at = html.find("<polyline"); at != std::string::npos; at = html.find("<polyline", at + 1))
        curves.insert(html.substr(at, html.find("fill=", at) - at));
    EXPECT_EQ(curves.size(), 5u);
}

TEST_F(RunFiles, TheLogHoldsTheLossesAndScoresOfEveryEpoch) {
    train();
    std::ifstream lines(run_.metrics());
    std::string line;
    for (int64_t stage : {1, 2}) {
        for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
            ASSERT_TRUE(std::getline(lines, line));
            const Json json = parse_json(line);
            const auto truth = [&](int32_t clip) {
                const bool known = std::binary_search(split_.labelled.begin(), split_.labelled.end(), clip);
                return known ? label(clip) : own_answer(best_age(1), clip).label;
            };
            EXPECT_EQ(json["stage"], stage);
            EXPECT_EQ(json["epoch"], epoch);
            EXPECT_DOUBLE_EQ(json["learning_rate"].get<double>(), epoch == 3 ? 0.002 : 0.004);
            EXPECT_EQ(json["best"], epoch <= best_epoch) << "of the epochs until then";

            double sum = 0;
            std::vector<std::pair<int32_t, int32_t>> pairs;
            const std::vector<int32_t> order = epoch_order(clips_.train(stage), 1234, stage, epoch);
            int64_t place = 0;
            for (int32_t clip : order) {
                const int64_t now = age(stage, epoch - 1) + place++ / batch;
                sum += loss(now, clip, truth(clip));
                pairs.emplace_back(truth(clip), own_answer(now, clip).label);
            }
            EXPECT_NEAR(json["train_loss"].get<double>(), sum / static_cast<double>(order.size()), 1e-6);
            EXPECT_DOUBLE_EQ(json["train_balanced_accuracy"].get<double>(), balanced(pairs));

            sum = 0;
            pairs.clear();
            const int64_t now = age(stage, epoch);
            const auto validate = [&](const std::vector<int32_t>& clips) {
                for (int32_t clip : clips) {
                    sum += loss(now, clip, truth(clip));
                    pairs.emplace_back(truth(clip), own_answer(now, clip).label);
                }
            };
            validate(clips_.labelled.validation);
            EXPECT_DOUBLE_EQ(json["validation_labelled_balanced_accuracy"].get<double>(), balanced(pairs));
            if (stage == 2) validate(clips_.unlabelled.validation);
            EXPECT_DOUBLE_EQ(json["validation_balanced_accuracy"].get<double>(), balanced(pairs));
            EXPECT_NEAR(json["validation_loss"].get<double>(), sum / static_cast<double>(pairs.size()), 1e-6);
        }
    }
    EXPECT_FALSE(std::getline(lines, line));
}

/// The value behind each occurrence of a tag: field 2 of a summary's value, a float.
std::vector<float> scalars(const std::string& events, const std::string& tag) {
    std::vector<float> out;
    const std::string key = std::string(1, static_cast<char>(tag.size())) + tag + "\x15";
    for (size_t at = events.find(key); at != std::string::npos; at = events.find(key, at + 1)) {
        out.emplace_back();
        std::memcpy(&out.back(), events.data() + at + key.size(), sizeof(float));
    }
    return out;
}

TEST_F(RunFiles, TheEventsAreTheLogs) {
    train();
    std::string events;
    for (const auto& entry : std::filesystem::directory_iterator(run_.folder))
        if (entry.path().filename().string().starts_with("events.out.tfevents")) events += read_text(entry.path());
    std::map<std::string, std::vector<float>> expected;
    std::ifstream lines(run_.metrics());
    for (std::string line; std::getline(lines, line);) {
        const Json json = parse_json(line);
        for (const auto& [tag, key] :
             {std::pair("loss/train", "train_loss"),
              {"loss/validation", "validation_loss"},
              {"balanced_accuracy/train", "train_balanced_accuracy"},
              {"balanced_accuracy/validation", "validation_balanced_accuracy"},
              {"balanced_accuracy/validation_labelled", "validation_labelled_balanced_accuracy"},
              {"learning_rate", "learning_rate"}})
            expected[tag].push_back(json[key].get<float>());
    }
    for (const auto& [tag, values] : expected) EXPECT_EQ(scalars(events, tag), values) << tag;
    EXPECT_EQ(scalars(events, "clips_per_second").size(), 6u);
    // Steps count on over the stages: field 2 of an event, before the summary.
    for (char step = 1; step <= 6; ++step)
        EXPECT_NE(events.find(std::string("\x10") + step + "\x2a"), std::string::npos) << int{step};
    EXPECT_EQ(events.find("\x10\x07\x2a"), std::string::npos);
}

TEST_F(RunFiles, SettingsSplitAndStoreAreThoseOfTheRun) {
    train();
    EXPECT_EQ(load_config(run_.config()), config_);
    const Json split = parse_json(read_text(run_.split()));
    EXPECT_EQ(split["name"], "simulation");
    EXPECT_EQ(split["seed"], 1234);
    EXPECT_EQ(split["clips"], 120);
    EXPECT_EQ(split["labelled"], Json(split_.labelled));
    EXPECT_EQ(split["unlabelled"], Json(split_.unlabelled));
    EXPECT_EQ(split["test"], Json(split_.test));
    const Json store = parse_json(read_text(run_.store()));
    EXPECT_EQ(store["clips"], 120);
    EXPECT_EQ(store["classes"], Json(store_.columns().classes));
    EXPECT_EQ(store["frames"], small_frames);
    EXPECT_EQ(store["bands"], small_bands);
    EXPECT_EQ(store["fingerprint"], store_fingerprint(store_));
}

/// Any column, and any of the three frames that count, is a part of the fingerprint.
TEST_F(RunFiles, TheFingerprintSeesEveryColumn) {
    const std::string before = store_fingerprint(store_);
    const std::vector<float> logmel(store_.logmel().begin(), store_.logmel().end());
    const auto changed = [&](auto&& change) {
        StoreColumns columns = store_.columns();
        std::vector<float> features = logmel;
        change(columns, features);
        write_feature_store(folder_ / "other", columns, features);
        return store_fingerprint(FeatureStore::open(folder_ / "other"));
    };
    std::set<std::string> seen{before};
    const auto expect_new = [&](const std::string& fingerprint, const char* what) {
        EXPECT_TRUE(seen.insert(fingerprint).second) << what;
    };
    EXPECT_EQ(changed([](auto&, auto&) {}), before);
    expect_new(changed([](StoreColumns& c, auto&) { c.classes[1] = "x"; }), "classes");
    expect_new(changed([](StoreColumns& c, auto&) { c.cities[1] = "x"; }), "cities");
    expect_new(changed([](StoreColumns& c, auto&) { c.names[119] = "x"; }), "names");
    expect_new(changed([](StoreColumns& c, auto&) { c.label[119] = 0; }), "label");
    expect_new(changed([](StoreColumns& c, auto&) { c.city[119] = -1; }), "city");
    expect_new(changed([](StoreColumns& c, auto&) { c.has_time[119] = 0; }), "has_time");
    expect_new(changed([](StoreColumns& c, auto&) { c.time[119 * 8 + 7] += 0.25f; }), "time");
    constexpr size_t last = 119 * small_frames * small_bands;
    for (size_t frame : {size_t{0}, size_t{small_frames / 2}, size_t{small_frames - 1}})
        expect_new(changed([&](auto&, std::vector<float>& f) { f[last + (frame + 1) * small_bands - 1] += 1; }),
                   "features");
}

/// A complete run whose best model has been replaced: with no epoch left to train, all that is left to do is done with
/// that model, not with the last.
TEST_F(RunFiles, WhatIsFinishedWithoutTrainingIsStillTheBestModels) {
    train();
    std::filesystem::copy_file(run_.best_model(1), run_.best_model(2),
                               std::filesystem::copy_options::overwrite_existing);
    for (const auto& file : {run_.result(), run_.predictions(), run_.report()}) std::filesystem::remove(file);
    const RunResult result = train();
    EXPECT_TRUE(std::none_of(backend_.steps.begin(), backend_.steps.end(), [](const auto& s) { return s.training; }));
    expect_predictions(best_age(1), split_.test);
    EXPECT_EQ(parse_json(read_text(run_.result()))["test_confusion"], Json(test_matrix(best_age(1))));
    EXPECT_EQ(result.test->count(0, 1), test_matrix(best_age(1))[0][1]);
    EXPECT_TRUE(std::filesystem::exists(run_.report()));
    EXPECT_EQ(find_checkpoint(run_.folder), run_.best_model(2));
}

/// Stopped between two stages: the next begins from the best model's file, not from the last state, and asks the
/// teacher again.
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
        std::find_if(backend_.steps.begin(), backend_.steps.end(), [](const auto& step) { return step.training; });
    ASSERT_NE(first, backend_.steps.end());
    EXPECT_FALSE(first->model.se_trans);
    EXPECT_EQ(first->model.age, best_age(1));
    EXPECT_TRUE(first->fresh_moments);
    EXPECT_NE(first->weights, std::vector<float>(first->weights.size(), 1.0f));
    EXPECT_EQ(age_in(run_.best_model(2)), best_age(2));
    expect_predictions(best_age(2), split_.test);
}

/// Stopped inside a stage: optimiser, masks, targets and weights go on where they were.
TEST_F(RunFiles, AnEpochAfterAStopGoesOnFromTheLastState) {
    config_.training.hard_samples = true;
    config_.pseudo.threshold = 0.57; // and the clips without a target stay out
    train();
    std::vector<StepSeen> whole;
    for (const StepSeen& step : backend_.steps)
        if (step.training && !step.model.se_trans) whole.push_back(step);
    std::filesystem::remove_all(run_.folder);
    recorder_.after_epoch = [&](const EpochRecord& record) { stop_ = record.stage == 2 && record.epoch == 2; };
    EXPECT_THROW(train(), Interrupted); // in the teacher's second stage
    stop_ = false;
    EXPECT_THROW(train(), Interrupted); // in our own
    stop_ = false;
    std::ofstream(run_.metrics(), std::ios::app) << "{\"stage\":2,\"ep"; // a line cut short
    recorder_.after_epoch = nullptr;
    train();
    std::vector<StepSeen> rest;
    for (const StepSeen& step : backend_.steps) {
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

TEST_F(RunFiles, WithoutTestClipsTheUnlabelledAreThePredictions) {
    config_.split.name = "experiment";
    const RunResult result = train();
    EXPECT_FALSE(result.test);
    expect_predictions(best_age(2), split_.unlabelled);
    const Json json = parse_json(read_text(run_.result()));
    for (const char* key : {"test_balanced_accuracy", "test_accuracy", "test_confusion", "leaked_share"})
        EXPECT_TRUE(json[key].is_null()) << key;
    for (const char* file : {"confusion.txt", "confusion.csv", "confusion.svg"})
        EXPECT_FALSE(std::filesystem::exists(run_.folder / file)) << file;
}

/// Test clips without labels are predicted and give no score.
TEST_F(RunFiles, ATestWithoutLabelsHasPredictionsOnly) {
    Split split;
    split.name = "by hand";
    for (int32_t clip = 0; clip < 120; ++clip) (label(clip) < 0 ? split.test : split.labelled).push_back(clip);
    save_split(folder_ / "split.json", split, 120);
    config_.split.name = (folder_ / "split.json").string();
    config_.training.stages = 1;
    const RunResult result = train();
    ASSERT_EQ(split_.test.size(), 60u);
    expect_predictions(best_age(1), split_.test);
    EXPECT_FALSE(result.test);
    EXPECT_TRUE(result.cities.empty() && result.devices.empty());
    EXPECT_FALSE(std::filesystem::exists(run_.folder / "confusion.csv"));
}

/// Equation (1) of the paper: 1/(confidence + 1e-8), scaled to mean 1 over the clips that train in the stage.
TEST_F(RunFiles, HardSamplesAreTheTeachersBestModels) {
    config_.training.hard_samples = true;
    config_.training.hard_threshold = 0.64;
    const RunResult result = train();
    const RunFolder teacher{run_.teacher()};
    EXPECT_EQ(age_in(teacher.best_model(2)), best_age(2));
    EXPECT_NE(best_age(2), age(2, epochs));
    const RunConfig heard = load_config(teacher.config());
    EXPECT_EQ(heard, as_system(config_, 1));
    EXPECT_EQ(load_split(teacher.split(), store_.clips()), split_);

    std::map<std::string, std::pair<double, double>> expected; // "stage,filename": confidence, weight
    int64_t stage = 0, epoch = 0, hard = 0;
    std::vector<double> weights(120, 1.0);
    for (const StepSeen& step : backend_.steps) {
        if (step.model.se_trans) continue;
        if (step.training && step.control.cursor == 0 && epoch++ % epochs == 0) {
            ++stage, hard = 0;
            std::fill(weights.begin(), weights.end(), 1.0);
            double sum = 0;
            const auto unscaled = [&](int32_t clip) {
                return 1 / (answer({best_age(2), true}, clip).confidence + 1e-8);
            };
            for (int32_t clip : clips_.train(stage)) sum += unscaled(clip);
            for (int32_t clip : clips_.train(stage)) {
                const double confidence = answer({best_age(2), true}, clip).confidence;
                double& weight = weights[static_cast<size_t>(clip)];
                weight = unscaled(clip) * static_cast<double>(clips_.train(stage).size()) / sum;
                if (confidence < 0.64) expected[fmt::format("{},{}", stage, name(clip))] = {confidence, weight}, ++hard;
            }
        }
        if (stage == 0) continue;
        for (size_t i = 0; i < step.clips.size(); ++i)
            EXPECT_NEAR(step.weights[i], weights[static_cast<size_t>(step.clips[i])], 1e-5);
    }
    EXPECT_EQ(stage, 2);
    EXPECT_EQ(result.hard_clips, hard);
    EXPECT_EQ(parse_json(read_text(run_.result()))["hard_clips"], hard);
    EXPECT_NE(read_text(run_.report()).find(fmt::format(" {} training clips are hard", hard)), std::string::npos);
    const CsvTable listed = read_csv(run_.hard_samples());
    EXPECT_EQ(listed.header_text(), "stage, filename, confidence, weight");
    ASSERT_EQ(listed.rows.size(), expected.size());
    ASSERT_GT(hard, 0);
    for (const CsvRow& row : listed.rows) {
        const auto found = expected.find(row.fields[0] + "," + row.fields[1]);
        ASSERT_NE(found, expected.end()) << row.fields[1];
        EXPECT_NEAR(std::stod(row.fields[2]), found->second.first, 2e-6);
        EXPECT_NEAR(std::stod(row.fields[3]), found->second.second, 1e-5);
    }
}

/// Stages above the second: their own pseudo labels judge them, and their own clips are weighed and listed.
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
    const std::vector<EpochRecord> own(recorder_.epochs.end() - 9, recorder_.epochs.end()); // without the teacher's
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

/// Clips that a stage leaves out may train in the next; every stage chooses among all.
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

/// What a run of three stages has written, but for the clock's numbers and the paths.
std::map<std::string, std::string> written(const RunFolder& run) {
    std::map<std::string, std::string> files;
    for (const char* name :
         {"best_model_1.safetensors", "best_model_2.safetensors", "best_model_3.safetensors", "last.safetensors",
          "pseudo_labels.csv", "hard_samples.csv", "split.json", "predictions.csv", "result.json", "confusion.csv"})
        files[name] = read_text(run.folder / name);
    return files;
}

/// Stopped in stage 2, between stages and twice in stage 3, a run ends with the same files.
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

/// Labels that a fold split hides, or that only the test has, are not heard: all but the test's scores is the same.
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
    train_system(backend_, other, split_, config_, run.folder, {recorder_, stop_});
    for (const auto& [name, content] : written(run)) {
        const bool tells = name == "result.json" || name == "confusion.csv";
        EXPECT_EQ(content == before.at(name), !tells) << name;
    }
}

/// Every seed of a table and of repeated runs has its own draw, first values and teacher.
TEST_F(RunFiles, TheThirdSeedHasItsOwnDrawAndTeacher) {
    config_.training.epochs = config_.training.stages = 1;
    split_ = split_of(store_, config_);
    clips_ = divide_training_clips(store_, split_, config_.training);
    run_table1(backend_, store_, config_, {{"simulation"}, 3}, folder_ / "table", {recorder_, stop_});
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
    const Summary summary = train_repeats(backend_, store_, config_, 3, run, {recorder_, stop_});
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

/// Systems #3 and #4 of a table weigh with the teacher that is given, and only else with its System #1.
TEST_F(RunFiles, ATablesTeacherIsTheOneThatIsGiven) {
    const auto teacher_of = [&](const std::string& given, const std::string& table, int system) {
        config_.training.teacher = given;
        config_.training.epochs = config_.training.stages = 1;
        run_table1(backend_, store_, config_, {{"simulation"}, 1}, folder_ / table, {recorder_, stop_});
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
