#pragma once

// A model on disk: a safetensors file with one F32 tensor per parameter and running statistic, under the names of the
// PyTorch modules. Two layouts differ from PyTorch's: convolution weights are [K, R, S, C] (PyTorch: [K, C, R, S]), and
// there is no num_batches_tracked. Metadata, all strings: "format" "scene.cu checkpoint", "version", the network
// ("model.*"), the features ("features.*"), "classes" and "cities" (JSON arrays), "system", "fit_rule", and what
// training tells ("training.*").
//
// A file that a run resumes from also holds "optim/exp_avg/<parameter>" and "optim/exp_avg_sq/<parameter>" (Adam's
// moments), "state/target" [R, K], "state/weight" [R] and "state/control" (StepControl, U8).

#include <filesystem>

#include "kernels/files/safetensors.h"
#include "model/checkpoint_info.h"
#include "model/executor.h"

namespace scene {

enum class CheckpointContent : uint8_t {
    Model,    ///< parameters and running statistics
    Training, ///< and what exact resume needs
};

/// Writes the executor's variables. The file appears under its name only when it is complete.
void save_checkpoint(const std::filesystem::path& file, const CheckpointInfo& info, const Executor& executor,
                     CheckpointContent content = CheckpointContent::Model);

/// Fills the executor's parameters and running statistics (and optimiser state). Every name and shape is checked before
/// anything is changed: fails naming what is missing, has another shape, or belongs to another model.
void load_checkpoint(const SafetensorsFile& file, Executor& executor,
                     CheckpointContent content = CheckpointContent::Model);

/// Fails where a parameter or statistic is NaN or infinite: such a model says nothing, or the same of everything.
void require_finite_weights(const SafetensorsFile& file);

} // namespace scene
