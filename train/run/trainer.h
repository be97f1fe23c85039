#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/splits/audit.h"
#include "kernels/device.h"
#include "train/config/config.h"
#include "train/evaluation/metrics.h"
#include "train/report/breakdown.h"
#include "train/run/progress.h"

namespace scene {

class FeatureStore;
struct Split;

/// The end of a run, also in run/result.json.
struct RunResult {
    std::string system;
    std::string split;      ///< its name
    LeakedShare leak;       ///< share of its test clips whose recording session trains
    double train_score = 0; ///< best validation balanced accuracy of stage 1 (paper: "Train")
    std::optional<double>
        pseudo_score; ///< of the last stage's chosen epoch, with pseudo labels as truth (paper: "Pseudo")
    std::optional<double> labelled_score; ///< of the last stage's chosen epoch on truly labelled validation clips
    std::optional<Confusion> test;        ///< when the split has labelled test clips
    std::vector<PartScore> cities;        ///< of the test, where the store knows cities
    std::vector<PartScore> devices;       ///< of the test, where the store knows devices
    int64_t hard_clips = 0;               ///< below the threshold, in the last stage that was weighted
    std::filesystem::path checkpoint;     ///< the best model of the last stage
    bool was_complete = false;            ///< the run had ended before; nothing was computed
};

/// Fails when the settings do not fit the store or the split, or a checkpoint that they name does not fit. Writes
/// nothing.
void check_settings(const FeatureStore& store, const Split& split, const RunConfig& config);

/// Trains one system in the paper's stages and predicts the test clips (paper, section II-E), leaving in `run`:
/// config.toml, split.json, store.json, metrics.jsonl, best_model_1.safetensors, pseudo_labels.csv,
/// best_model_2.safetensors, last.safetensors, hard_samples.csv, predictions.csv, confusion.txt, .csv and .svg (where
/// the test has labels), result.json, report.html and a TensorBoard event file. A run that was stopped or killed at any
/// moment goes on after its last complete epoch, to the same bits. With more training.epochs or another
/// training.early_stop the stage that came last goes on; stages that others are built on, and the teacher, stay as they
/// are. A split without unlabelled clips has stage 1 only. Fails, before anything is written, when the settings do not
/// fit or `run` has epochs of another configuration, split or store; and when a loss or gradient is no longer finite.
RunResult train_system(Device& device, const FeatureStore& store, const Split& split, const RunConfig& config,
                       const std::filesystem::path& run, const Session& session);

} // namespace scene
