// Every key of the configuration, from the TOML file to its effect: what it must change, and that it changes nothing
// else. The networks' predictions are scripted, so that nothing depends on the course of a training.

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "model/checkpoint.h"
#include "model/networks/network.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/scripted_device.h"
#include "tests/train/small_store.h"
#include "train/run/history.h"
#include "train/run/run_folder.h"
#include "train/run/stages.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

/// About two thirds of the predictions are correct. They do not depend on the model's age, except for a teacher.
Answer steady_answer(bool teacher, int64_t age, int32_t clip) {
    const int64_t own = teacher ? age : 0;
    return {(clip * 7 + own) % 11 < 7 ? clip % 3 : (clip + 1) % 3,
            0.4 + 0.05 * static_cast<double>((clip * 3 + own) % 11)};
}

/// Lets the two scores of stage 2 choose different epochs. The first epoch, which ends at step 10, is the best on
/// labelled clips: their predictions are correct before step 12 only. Later epochs are the best on pseudo labels: their
/// predictions are then those of stage 1, from which the labels came.
Answer torn_answer(int64_t age, bool labelled, int32_t clip) {
    const bool right = labelled ? age < 12 : age < 8 || age > 12;
    return {right ? clip % 3 : (clip + 1) % 3, 0.9};
}

/// Observable effects of a run, by name, as text.
using Observations = std::map<std::string, std::string>;

std::string text_of(const Augmentation& a) {
    return fmt::format("roll {} gain {} style {} of {} bands {}x{} frames {}x{} mixup {} of {}", a.roll, a.gain,
                       a.style_alpha, a.style_probability, a.frequency_masks, a.frequency_mask, a.time_masks,
                       a.time_mask, a.mixup_alpha, a.mixup_probability);
}

/// The training and inference passes of a run's student or teacher.
class Passes {
public:
    Passes(const std::vector<StepSeen>& steps, bool se_trans) {
        for (const StepSeen& step : steps) {
            if (step.model.se_trans != se_trans) {
                ++others_;
                continue;
            }
            if (!step.training)
                inference_.push_back(&step);
            else if (step.control.cursor == 0)
                training_.push_back({&step});
            else
                training_.back().push_back(&step);
        }
    }
    void add_to(Observations& seen) const {
        std::vector<std::string> batches, orders, rates, first;
        std::set<std::string> decay, decoupled, augmentation, smoothing, keys, inputs;
        std::set<float> conv, encoder;
        for (const auto& pass : training_) {
            std::vector<int32_t> order;
            for (const StepSeen* step : pass) {
                if (&pass == &training_.front()) batches.push_back(fmt::format("{}", step->clips.size()));
                order.insert(order.end(), step->clips.begin(), step->clips.end());
                decay.insert(fmt::format("{}", step->adam.weight_decay));
                decoupled.insert(fmt::format("{}", step->decoupled_decay));
                augmentation.insert(step->augmentation ? text_of(*step->augmentation) : "none");
                smoothing.insert(fmt::format("{}", step->smoothing));
                keys.insert(fmt::format("{}", step->control.seed));
                inputs.insert(fmt::format("deltas {} places {}", step->deltas, !step->cities.empty()));
                conv.insert(step->conv_dropout.begin(), step->conv_dropout.end());
                encoder.insert(step->encoder_dropout.begin(), step->encoder_dropout.end());
            }
            orders.push_back(fmt::format("{}", fmt::join(order, " ")));
            rates.push_back(fmt::format("{:.6g}", pass.front()->control.learning_rate));
        }
        for (const StepSeen* step : inference_) {
            smoothing.insert(fmt::format("{}", step->smoothing));
            inputs.insert(fmt::format("deltas {} places {}", step->deltas, !step->cities.empty()));
            EXPECT_FALSE(step->augmentation);
            EXPECT_TRUE(step->conv_dropout.empty() && step->encoder_dropout.empty());
        }
        seen["batches"] = fmt::format("{}", fmt::join(batches, " "));
        seen["orders"] = fmt::format("{}", fmt::join(orders, "\n"));
        seen["learning rates"] = fmt::format("{}", fmt::join(rates, " "));
        seen["weight decay"] = fmt::format("{}", fmt::join(decay, " "));
        seen["decoupled decay"] = fmt::format("{}", fmt::join(decoupled, " "));
        seen["augmentation"] = fmt::format("{}", fmt::join(augmentation, " "));
        seen["smoothing"] = fmt::format("{}", fmt::join(smoothing, " "));
        seen["inputs"] = fmt::format("{}", fmt::join(inputs, " "));
        seen["dropout keys"] = fmt::format("{}", fmt::join(keys, " "));
        seen["conv dropout"] = fmt::format("{}", fmt::join(conv, " "));
        seen["encoder dropout"] = fmt::format("{}", fmt::join(encoder, " "));
        seen["first values"] = fmt::format("{}", fmt::join(training_.front().front()->parameters, " "));
        seen["teacher's steps"] = fmt::format("{}", others_);
        add_last_pass(seen);
    }

private:
    void add_last_pass(Observations& seen) const {
        std::map<int32_t, std::string> targets, weights;
        for (const StepSeen* step : training_.back()) {
            for (size_t i = 0; i < step->clips.size(); ++i) {
                const auto* row = step->targets.data() + 3 * i;
                targets[step->clips[i]] = fmt::format("{:.4f} {:.4f} {:.4f}", row[0], row[1], row[2]);
                weights[step->clips[i]] = fmt::format("{:.5f}", step->weights[i]);
            }
        }
        seen["targets"] = fmt::format("{}", targets);
        seen["weights"] = fmt::format("{}", weights);
    }

    std::vector<std::vector<const StepSeen*>> training_;
    std::vector<const StepSeen*> inference_;
    size_t others_ = 0;
};

std::string network_of(const SafetensorsFile& model) {
    std::string out;
    for (const SafetensorsEntry& entry : model.tensors()) out += fmt::format("{} {} ", entry.name, entry.shape);
    return out;
}

Observations observe(const FeatureStore& store, const RunConfig& config, bool torn) {
    const TemporaryFolder folder;
    const RunFolder run{folder / "run"};
    const bool student_is_se_trans = config.model.network == &se_trans;
    ScriptedDevice device([&](const ScriptedModel& model, int32_t clip) {
        return torn ? torn_answer(model.age, store.columns().label[static_cast<size_t>(clip)] >= 0, clip)
                    : steady_answer(model.se_trans != student_is_se_trans, model.age, clip);
    });
    Recorder recorder;
    const std::atomic<bool> stop{false};
    const Split split = split_of(store.columns(), config.split);
    train_system(device, store, split, config, run.folder, {recorder, stop});
    EXPECT_EQ(load_config(run.config()), config);

    Observations seen;
    Passes(device.steps, student_is_se_trans).add_to(seen);
    for (const auto& [name, file] : {std::pair("pseudo labels", run.pseudo_labels()),
                                     {"hard samples", run.hard_samples()},
                                     {"predictions", run.predictions()},
                                     {"split", run.split()},
                                     {"result", run.result()}})
        seen[name] = std::filesystem::exists(file) ? read_text(file) : "none";
    seen["network"] = network_of(SafetensorsFile(run.best_model(1)));
    const TrainingClips clips = divide_training_clips(store, split, config.training);
    seen["validation"] =
        fmt::format("{} / {}", fmt::join(clips.labelled.validation, " "), fmt::join(clips.unlabelled.validation, " "));
    std::vector<std::string> epochs, kept, losses;
    std::ifstream log(run.metrics());
    for (std::string line; std::getline(log, line);) {
        const EpochRecord record = parse_epoch_json(line, "metrics.jsonl");
        epochs.push_back(fmt::format("{}.{}", record.stage, record.epoch));
        losses.push_back(fmt::format("{:.5f} {:.5f}", record.train_loss, record.validation_loss));
    }
    for (int64_t stage = 1; stage <= config.training.stages; ++stage)
        kept.push_back(read_checkpoint_info(SafetensorsFile(run.best_model(stage))).training.at("epoch"));
    seen["epochs"] = fmt::format("{}", fmt::join(epochs, " "));
    seen["kept epochs"] = fmt::format("{}", fmt::join(kept, " "));
    seen["losses"] = fmt::format("{}", fmt::join(losses, ", "));
    return seen;
}

using Settings = std::map<std::string, std::string>; ///< key to TOML value

struct Case {
    std::string key, value;
    Settings base; ///< in addition to the common settings
    /// The observations that must change, and their new values; "*": any other value.
    std::map<std::string, std::string> changes;
    bool places = true; ///< the store knows cities and times
    bool torn = false;  ///< predictions by torn_answer
};

const std::string any = "*";

/// `changes` and `more`, with any values.
std::map<std::string, std::string> with(std::map<std::string, std::string> changes,
                                        const std::vector<std::string>& more) {
    for (const std::string& one : more) changes.emplace(one, any);
    return changes;
}

std::vector<Case> cases(const TemporaryFolder& folder) {
    const auto file = [&](const char* name) { return fmt::format("\"{}\"", (folder / name).string()); };
    const Settings brief{{"training.epochs", "1"}};
    const Settings hard{{"training.epochs", "1"}, {"training.hard_samples", "true"}};
    const std::vector<std::string> epochs{"orders", "learning rates", "losses"},
        hardness{"weights", "hard samples", "losses", "result"},
        division{"orders", "validation", "targets", "weights", "losses", "result"},
        used{"orders", "targets", "weights", "losses"};
    const Settings official{{"training.epochs", "1"},
                            {"split.name", "\"official\""},
                            {"split.train_list", file("train.csv")},
                            {"split.test_list", file("test.csv")},
                            {"training.stages", "1"}};
    return {
        {"system", "\"3\"", {{"system", "\"4\""}}, {{"smoothing", "0"}, {"losses", any}, {"result", any}}},
        {"model.architecture", "\"se-trans\"", brief, {{"network", any}, {"first values", any}, {"conv dropout", ""}}},
        {"model.width", "0.1", brief, {{"network", any}, {"first values", any}}},
        {"model.deltas",
         "true",
         brief,
         {{"network", any}, {"first values", any}, {"inputs", "deltas true places true"}}},
        {"model.multimodal",
         "\"off\"",
         brief,
         {{"network", any}, {"first values", any}, {"inputs", "deltas false places false"}}},
        {"model.multimodal",
         "\"on\"",
         brief,
         {{"network", any}, {"first values", any}, {"inputs", "deltas false places true"}},
         false},
        {"model.conv_dropout", "0.3", brief, {{"conv dropout", "0.3"}}},
        {"model.encoder_dropout", "0.15", brief, {{"encoder dropout", "0.15"}}},
        {"training.batch", "5", brief, {{"batches", "5 5 5 3"}}},
        {"training.epochs", "2", {}, with({{"epochs", "1.1 1.2 2.1 2.2"}, {"kept epochs", "2 2"}}, epochs)},
        {"training.learning_rate", "0.002", {}, {{"learning rates", "0.002 0.002 0.0018 0.002 0.002 0.0018"}}},
        {"training.decay", "0.5", {}, {{"learning rates", "0.0001 0.0001 5e-05 0.0001 0.0001 5e-05"}}},
        {"training.decay_every", "1", {}, {{"learning rates", "0.0001 9e-05 8.1e-05 0.0001 9e-05 8.1e-05"}}},
        {"training.early_stop", "1", {}, with({{"epochs", "1.1 1.2 2.1 2.2"}, {"kept epochs", "2 2"}}, epochs)},
        {"training.weight_decay", "0.01", brief, {{"weight decay", "0.01"}}},
        {"training.decoupled_decay", "0.25", brief, {{"decoupled decay", "0.25"}}},
        {"training.label_smoothing", "0.25", brief, {{"smoothing", "0.25"}, {"losses", any}}},
        {"training.hard_samples", "true", brief, with({{"teacher's steps", any}}, hardness)},
        {"training.hard_confidence", "\"entropy\"", hard, with({}, hardness)},
        {"training.hard_threshold", "0.9", hard, {{"hard samples", any}, {"result", any}}},
        {"training.teacher", file("guide"), hard, with({{"teacher's steps", any}}, hardness)},
        {"training.init", file("donor"), brief, {{"first values", any}}},
        {"training.validation_share", "0.4", brief, with({{"batches", any}}, division)},
        {"training.validation_share",
         "0.4",
         {{"training.epochs", "1"}, {"training.validation", "\"sessions\""}},
         with({{"batches", any}}, division)},
        {"training.validation", "\"sessions\"", brief, with({}, division)},
        {"training.validation", "\"cities\"", brief, with({{"batches", any}}, division)},
        {"training.validation",
         "\"clips\"",
         {{"training.epochs", "1"}, {"split.name", "\"session\""}},
         with({{"batches", any}}, division)},
        {"training.stages",
         "1",
         {},
         with({{"epochs", "1.1 1.2 1.3"},
               {"kept epochs", "3"},
               {"learning rates", any},
               {"dropout keys", any},
               {"pseudo labels", "none"}},
              division)},
        {"training.stages",
         "3",
         {},
         with({{"epochs", "1.1 1.2 1.3 2.1 2.2 2.3 3.1 3.2 3.3"},
               {"pseudo labels", any},
               {"kept epochs", "3 3 3"},
               {"dropout keys", any},
               {"result", any}},
              epochs)},
        {"training.seed", "5", brief, with({{"dropout keys", any}, {"first values", any}}, division)},
        {"training.seed",
         "5",
         {{"training.epochs", "1"}, {"training.validation", "\"sessions\""}},
         with({{"dropout keys", any}, {"first values", any}}, division)},
        {"training.choose_by",
         "\"paper\"",
         {},
         {{"kept epochs", "3 3"}, {"result", any}, {"predictions", any}},
         true,
         true},
        {"pseudo.threshold", "0.6", brief, with({{"pseudo labels", any}, {"result", any}}, used)},
        {"pseudo.class_cap", "3", brief, with({{"pseudo labels", any}}, used)},
        {"pseudo.labels", "\"soft\"", brief, {{"targets", any}, {"losses", any}}},
        {"pseudo.weights", "\"confidence\"", brief, {{"weights", any}, {"losses", any}}},
        {"augmentation.preset",
         "\"tf-sepnet\"",
         brief,
         {{"augmentation", "roll 0 gain 0 style 0.4 of 0.8 bands 1x0 frames 1x0 mixup 0.3 of 1"},
          {"targets", any},
          {"losses", any}}},
        {"augmentation.mixup_alpha",
         "0.5",
         brief,
         {{"augmentation", "roll 0 gain 0 style 0 of 1 bands 1x0 frames 1x0 mixup 0.5 of 1"},
          {"targets", any},
          {"losses", any}}},
        {"augmentation.mixup_probability",
         "0.25",
         {{"training.epochs", "1"}, {"augmentation.mixup_alpha", "0.5"}},
         {{"augmentation", "roll 0 gain 0 style 0 of 1 bands 1x0 frames 1x0 mixup 0.5 of 0.25"},
          {"targets", any},
          {"losses", any}}},
        {"augmentation.mixstyle_alpha",
         "0.3",
         brief,
         {{"augmentation", "roll 0 gain 0 style 0.3 of 1 bands 1x0 frames 1x0 mixup 0 of 1"}}},
        {"augmentation.mixstyle_probability",
         "0.4",
         {{"training.epochs", "1"}, {"augmentation.mixstyle_alpha", "0.3"}},
         {{"augmentation", "roll 0 gain 0 style 0.3 of 0.4 bands 1x0 frames 1x0 mixup 0 of 1"}}},
        {"augmentation.frequency_masks",
         "3",
         {{"training.epochs", "1"}, {"augmentation.frequency_mask_share", "0.25"}},
         {{"augmentation", "roll 0 gain 0 style 0 of 1 bands 3x4 frames 1x0 mixup 0 of 1"}}},
        {"augmentation.frequency_mask_share",
         "0.25",
         brief,
         {{"augmentation", "roll 0 gain 0 style 0 of 1 bands 1x4 frames 1x0 mixup 0 of 1"}}},
        {"augmentation.time_masks",
         "2",
         {{"training.epochs", "1"}, {"augmentation.time_mask_share", "0.25"}},
         {{"augmentation", "roll 0 gain 0 style 0 of 1 bands 1x0 frames 2x8 mixup 0 of 1"}}},
        {"augmentation.time_mask_share",
         "0.25",
         brief,
         {{"augmentation", "roll 0 gain 0 style 0 of 1 bands 1x0 frames 1x8 mixup 0 of 1"}}},
        {"augmentation.roll_seconds",
         "0.1",
         brief,
         {{"augmentation", "roll 5 gain 0 style 0 of 1 bands 1x0 frames 1x0 mixup 0 of 1"}}},
        {"augmentation.gain_db",
         "6",
         brief,
         {{"augmentation", "roll 0 gain 3 style 0 of 1 bands 1x0 frames 1x0 mixup 0 of 1"}}},
        {"split.name", "\"session\"", brief,
         with({{"split", any}, {"predictions", any}, {"pseudo labels", any}, {"batches", any}}, division)},
        {"split.seed", "3", brief, with({{"split", any}, {"predictions", any}}, division)},
        {"split.labelled_share",
         "0.5",
         {{"training.epochs", "1"}, {"split.name", "\"fold:0\""}},
         with({{"split", any}, {"pseudo labels", any}, {"batches", any}}, division)},
        {"split.test_share",
         "0.3",
         {{"training.epochs", "1"}, {"split.name", "\"session\""}},
         with({{"split", any}, {"predictions", any}, {"pseudo labels", any}, {"batches", any}}, division)},
        {"split.cities",
         "\"Hefei\"",
         {{"training.epochs", "1"}, {"split.name", "\"city\""}},
         with({{"split", any}, {"predictions", any}, {"pseudo labels", any}}, division)},
        {"split.train_list", file("train2.csv"), official, with({{"split", any}}, division)},
        {"split.test_list", file("test2.csv"), official, {{"split", any}, {"predictions", any}, {"result", any}}},
        {"runtime.device", "\"cpu\"", brief, {}},
        {"runtime.precision", "\"fp16\"", brief, {}},
        {"runtime.deterministic", "false", brief, {}},
        {"runtime.fusions", "\"never\"", brief, {}},
        {"runtime.autotune", "\"full\"", brief, {}},
        {"runtime.autotune_seconds", "9", brief, {}},
        {"runtime.threads", "2", brief, {}},
    };
}

class ConfigWiring : public testing::Test {
protected:
    ConfigWiring() : plain_(small_store(folder_ / "plain", {.clips = 90, .groups = true})), store_(with_places()) {
        std::ofstream(folder_ / "train.csv") << "filename\nclip0\nclip1\nclip2\nclip3\nclip4\nclip5\nclip6\nclip7\n";
        std::ofstream(folder_ / "test.csv") << "filename\nclip30\nclip31\nclip32\n";
        std::ofstream(folder_ / "train2.csv") << "filename\nclip3\nclip4\nclip5\nclip6\nclip7\nclip8\nclip9\n";
        std::ofstream(folder_ / "test2.csv") << "filename\nclip33\nclip34\nclip35\nclip36\n";
        leave_run("donor", 2);
        leave_run("guide", 1);
    }

    /// Leaves a run whose model serves as training.init or as a teacher.
    void leave_run(const std::string& name, int system) {
        RunConfig config = small_config(system);
        config.training.seed = 99;
        config.training.epochs = 1;
        config.training.stages = 1;
        ScriptedDevice device([](const ScriptedModel&, int32_t clip) { return Answer{clip % 3, 0.9}; });
        Recorder recorder;
        const std::atomic<bool> stop{false};
        train_system(device, store_, split_of(store_, config), config, folder_ / name, {recorder, stop});
    }
    /// A store in which every clip has a city, so that cities can be kept whole.
    FeatureStore with_places() {
        const FeatureStore some = small_store(folder_ / "some", {.clips = 90, .places = true, .groups = true});
        StoreColumns columns = some.columns();
        columns.cities = {"Xi'an", "Jinan", "Hefei"};
        for (size_t clip = 0; clip < columns.city.size(); ++clip)
            columns.city[clip] = static_cast<int32_t>(clip / 3 % 3);
        write_feature_store(folder_ / "store", columns, some.logmel());
        return FeatureStore::open(folder_ / "store");
    }

    static Settings base_of(const Case& one) {
        Settings base = one.base;
        base.emplace("model.width", "0.05");
        base.emplace("training.batch", "16");
        base.emplace("training.epochs", "3");
        if (base.emplace("system", "\"wired\"").second) base.emplace("training.hard_samples", "false");
        return base;
    }
    RunConfig load(const Settings& settings) const {
        std::string text;
        std::vector<std::string> overrides;
        for (const auto& [key, value] : settings) {
            text += fmt::format("{} = {}\n", key, value);
            overrides.push_back(fmt::format("{}={}", key, value));
        }
        write_text(folder_ / "run.toml", text);
        const RunConfig config = load_config(folder_ / "run.toml");
        EXPECT_EQ(load_config("", overrides), config);
        return config;
    }
    const Observations& observed(const Case& one, const Settings& settings) {
        std::string name = fmt::format("{}{} ", one.places, one.torn);
        for (const auto& [key, value] : settings) name += key + "=" + value + " ";
        const auto found = seen_.find(name);
        if (found != seen_.end()) return found->second;
        return seen_[name] = observe(one.places ? store_ : plain_, load(settings), one.torn);
    }

    TemporaryFolder folder_;
    FeatureStore plain_, store_;
    std::map<std::string, Observations> seen_;
};

TEST_F(ConfigWiring, EveryKeyChangesWhatItShouldAndNothingElse) {
    std::set<std::string> tested;
    for (const Case& one : cases(folder_)) {
        SCOPED_TRACE(one.key + " = " + one.value);
        tested.insert(one.key);
        const Settings base = base_of(one);
        Settings changed = base;
        changed[one.key] = one.value;
        const Observations before = observed(one, base), after = observed(one, changed);
        std::string names;
        for (const auto& [name, text] : after) {
            if (text != before.at(name)) names += name + ", ";
            EXPECT_EQ(text != before.at(name), one.changes.contains(name)) << name << ": " << text;
        }
        for (const auto& [name, expected] : one.changes) {
            if (expected != any) { EXPECT_EQ(after.at(name), expected) << name; }
        }

        // Device, threads and the time to autotune do not distinguish runs.
        const std::vector<std::string> differ = differences(load(base), load(changed));
        const bool of_the_machine =
            one.key == "runtime.device" || one.key == "runtime.threads" || one.key == "runtime.autotune_seconds";
        EXPECT_EQ(differ.empty(), of_the_machine);
    }
    const std::vector<std::string> keys = config_keys();
    EXPECT_EQ(tested, std::set<std::string>(keys.begin(), keys.end())) << "a case for every key";
}

/// training.init does not fit another network.
TEST(AsSystem, KeepsFirstValuesOnlyForTheirNetwork) {
    RunConfig config = system_config(4);
    config.training.init = "tuned.safetensors";
    EXPECT_EQ(as_system(config, 2).training.init, "tuned.safetensors");
    EXPECT_EQ(as_system(config, 1).training.init, "");
}

} // namespace
} // namespace scene::test
