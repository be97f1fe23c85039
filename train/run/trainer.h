#pragma once

#include <filesystem>

#include "kernels/device.h"
#include "train/config/config.h"
#include "train/progress.h"
#include "train/report/run_result.h"

namespace scene {

class FeatureStore;
struct Split;

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
