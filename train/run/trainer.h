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

/// The result of a run, also in run/result.json. Scores are balanced accuracies.
struct RunResult {
    std::string system;     ///< system_title
    std::string split;      ///< Split::name
    LeakedShare leak;       ///< shares of the test clips whose recording session also trains
    double train_score = 0; ///< best validation score of stage 1 (paper: "Train")
    /// Validation score of the last stage's best epoch, with pseudo labels as truth (paper: "Pseudo"). From stage 2 on.
    std::optional<double> pseudo_score;
    /// The same epoch's validation score on clips with true labels. From stage 2 on.
    std::optional<double> labelled_score;
    std::optional<Confusion> test;    ///< if the split has labelled test clips
    std::vector<PartScore> cities;    ///< on the test clips; empty if the store knows no cities
    std::vector<PartScore> devices;   ///< on the test clips; empty if the store knows no devices
    int64_t hard_clips = 0;           ///< listed in hard_samples.csv for the last stage
    std::filesystem::path checkpoint; ///< the best model of the last stage
    bool was_complete = false;        ///< the run was complete before; nothing was computed
};

/// Throws Error if the settings do not fit the store or the split, or a checkpoint that they name does not fit. Writes
/// nothing.
void check_settings(const FeatureStore& store, const Split& split, const RunConfig& config);

/// Trains one system in the paper's stages (section II-E) and predicts the test clips, or the unlabelled clips if the
/// split has no test. A split without unlabelled clips has stage 1 only. Writes to `run`:
/// - config.toml, split.json, store.json: what the run is;
/// - metrics.jsonl and a TensorBoard event file: the epochs;
/// - best_model_<stage>.safetensors, last.safetensors: checkpoints;
/// - teacher/: the run of the teacher, if it trains its own;
/// - pseudo_labels.csv (from stage 2 on), hard_samples.csv (with hard samples);
/// - predictions.csv; confusion.txt, .csv and .svg (if the test clips have labels); result.json; report.html.
///
/// A run that was stopped or killed at any moment resumes after its last complete epoch, with the same bits as without
/// the interruption. With other values of training.epochs or training.early_stop the current stage goes on; earlier
/// stages, and a teacher whose weights have been used, stay as they are.
///
/// Throws Error
/// - before anything is written, if the settings do not fit, or `run` is of another configuration, split or store;
/// - if a loss, or a gradient at loss scale 1, is not finite.
///
/// Throws Interrupted if session.stop is set.
RunResult train_system(Device& device, const FeatureStore& store, const Split& split, const RunConfig& config,
                       const std::filesystem::path& run, const Session& session);

} // namespace scene
