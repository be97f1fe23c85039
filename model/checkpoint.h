#pragma once

// The checkpoint file: safetensors with one F32 tensor per parameter and running statistic, under PyTorch's module
// names. It differs from a PyTorch state_dict in two points:
// - convolution weights are [K, R, S, C] (PyTorch: [K, C, R, S]);
// - there is no num_batches_tracked.
//
// Metadata, all strings:
// - "format": "scene.cu checkpoint"; "version";
// - "model.*": the network; "features.*": the log-mel settings;
// - "classes", "cities": JSON arrays;
// - "system", "fit_rule";
// - "training.*": stage, epoch, scores and other facts about the training.
//
// A file that a run resumes from also holds the training state:
// - "optim/exp_avg/<parameter>", "optim/exp_avg_sq/<parameter>": Adam's moments;
// - "state/target" F32 [R, K], "state/weight" F32 [R], "state/control" U8 (StepControl).

#include <filesystem>

#include "kernels/files/safetensors.h"
#include "model/checkpoint_info.h"
#include "model/executor.h"

namespace scene {

enum class CheckpointContent : uint8_t {
    Model,    ///< parameters and running statistics
    Training, ///< the same and the training state, for an exact resume
};

/// Writes the executor's variables. The write is atomic: `file` appears under its name only when it is complete.
void save_checkpoint(const std::filesystem::path& file, const CheckpointInfo& info, const Executor& executor,
                     CheckpointContent content = CheckpointContent::Model);

/// Loads the parameters and running statistics and, with CheckpointContent::Training, the training state. With
/// CheckpointContent::Model a training state in the file is ignored. Names, shapes and types are all checked first:
/// throws Error that names the tensor that is missing, does not match or is unknown, and then nothing has changed.
void load_checkpoint(const SafetensorsFile& file, Executor& executor,
                     CheckpointContent content = CheckpointContent::Model);

/// Throws Error if an F32 tensor of the file holds NaN or infinity: the predictions of such a model are meaningless.
void require_finite_weights(const SafetensorsFile& file);

} // namespace scene
