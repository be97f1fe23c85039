#pragma once

#include <filesystem>

#include "kernels/device.h"
#include "train/config/config.h"
#include "train/progress.h"
#include "train/report/run_result.h"

namespace scene {

class FeatureStore;
struct Split;

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
