#pragma once

// A run with scripted predictions. The best epoch is neither the first nor the last of its stage, and every model has
// its own predictions, so that the content of each file of the run is determined.

#include <atomic>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/formats/csv.h"
#include "kernels/files/json.h"
#include "model/checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/scripted_device.h"
#include "tests/train/small_store.h"
#include "train/run/run_folder.h"
#include "train/run/stages.h"
#include "train/run/trainer.h"

namespace scene::test {

inline constexpr int64_t epochs = 3, batch = 8;
inline constexpr int64_t best_epoch = 2; ///< of every stage

class RunFiles : public testing::Test {
protected:
    RunFiles() : store_(small_store(folder_ / "store", {.clips = 120, .places = true, .groups = true})) {
        config_.system = "wired";
        config_.training.seed = 1234; // folder names and clip orders depend on it
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
        device_.steps.clear();
        recorder_.epochs.clear();
        return train_system(device_, store_, split_, config_, run_.folder, {recorder_, stop_});
    }

    /// Switches hard samples on, with a teacher of one epoch.
    void give_teacher() {
        RunConfig teacher = as_system(config_, 1);
        teacher.training.epochs = teacher.training.stages = 1;
        config_.training.hard_samples = true;
        config_.training.teacher = train_system(device_, store_, split_of(store_.columns(), config_.split), teacher,
                                                folder_ / "teacher", {recorder_, stop_})
                                       .checkpoint.string();
    }

    // ---- the script -------------------------------------------------------------------------------------------
    /// The training clips of a stage: the labelled ones, and those whose pseudo label reaches the threshold.
    std::vector<int32_t> trains(int64_t stage) const {
        std::vector<int32_t> clips = clips_.labelled.train;
        if (stage == 1) return clips;
        for (int32_t clip : clips_.unlabelled.train)
            if (own_answer(best_age(stage - 1), clip).confidence >= config_.pseudo.threshold) clips.push_back(clip);
        return clips;
    }
    int64_t steps_of(int64_t stage) const { return (static_cast<int64_t>(trains(stage).size()) + batch - 1) / batch; }
    /// Optimiser steps of the model after an epoch. Each stage starts from the best model of the stage before.
    int64_t age(int64_t stage, int64_t epoch) const {
        const int64_t before = stage == 1 ? 0 : age(stage - 1, best_epoch);
        return before + epoch * steps_of(stage);
    }
    int64_t best_age(int64_t stage) const { return age(stage, best_epoch); }
    /// The best models predict all validation clips correctly, other models none. Of the other clips every model
    /// predicts about two thirds correctly.
    Answer answer(const ScriptedModel& model, int32_t clip) const {
        const int64_t own = model.se_trans ? 4 : 0;
        bool right = (clip * 7 + model.age * 5 + own) % 11 < 7;
        if (validates_.contains(clip))
            right = model.age == best_age(1) || model.age == best_age(2) || model.age == best_age(3);
        return {right ? clip % 3 : (clip + 1) % 3, 0.4 + 0.05 * static_cast<double>((clip * 3 + model.age + own) % 11)};
    }
    Answer own_answer(int64_t model_age, int32_t clip) const { return answer({model_age, false}, clip); }

    // ---- expected values --------------------------------------------------------------------------------------
    const std::string& name(int32_t clip) const { return store_.columns().names[static_cast<size_t>(clip)]; }
    int32_t label(int32_t clip) const { return store_.columns().label[static_cast<size_t>(clip)]; }
    /// -sum q log p of the prediction, with the smoothed target q.
    double loss(int64_t model_age, int32_t clip, int32_t target) const {
        const Answer one = own_answer(model_age, clip);
        double out = 0;
        for (int32_t k = 0; k < 3; ++k) {
            const double p = k == one.label ? one.confidence : (1 - one.confidence) / 2;
            out -= ((k == target ? 0.8 : 0) + 0.2 / 3) * std::log(p);
        }
        return out;
    }
    /// Balanced accuracy.
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
    ScriptedDevice device_{[this](const ScriptedModel& model, int32_t clip) { return answer(model, clip); }};
    Recorder recorder_;
    std::atomic<bool> stop_{false};
};

} // namespace scene::test
