// Compares each file of a run with the scripted predictions of the model that should have produced it.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/train/scripted_run.h"
#include "train/run/history.h"

namespace scene::test {
namespace {

using Json = nlohmann::json;

TEST_F(RunFiles, CheckpointsHoldTheModelTheirNameSays) {
    config_.split.seed = 4321; // differs from training.seed
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
    std::vector<const StepSeen*> first; // the first step of every training pass
    for (const StepSeen& step : device_.steps)
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
    for (const StepSeen& step : device_.steps) {
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
    // Every clip trains with its own target: the true label, or the pseudo label of the stage.
    std::map<int64_t, std::set<int32_t>> trained; // by stage
    int64_t stage = 0, epoch = 0;
    for (const StepSeen& step : device_.steps) {
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

    // Leaked shares, from the session names.
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
    // The returned result, and the result of calling a complete run again, are those of the file.
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
    std::set<std::string> curves; // of five quantities, all different here
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

/// The values of a tag: field 2 of a summary's value, a float, follows the tag.
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
    // Steps (field 2 of an event, before the summary) are numbered over all stages.
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

/// Each of these columns, and each of three frames, is part of the fingerprint.
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

/// Test clips without labels are predicted, but give no score.
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

/// Equation (1) of the paper: 1/(confidence + 1e-8), scaled to mean 1 over the training clips of the stage.
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
    for (const StepSeen& step : device_.steps) {
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

} // namespace
} // namespace scene::test
