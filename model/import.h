#pragma once

// Weights of another training run as the first values of a new one: a checkpoint of ours, or a safetensors file that
// PyTorch wrote (docs/importing.md). A file is ours when its metadata says so ("format"); then convolution weights are
// [K, R, S, C] and architecture, width, deltas and features must be this model's. Any other file is taken for a PyTorch
// state_dict: convolution weights [K, C, R, S], names of our modules or of the challenge baseline's SE_Trans.

#include <string>
#include <vector>

#include "model/checkpoint.h"

namespace scene {

/// What an import gives this model and what it leaves.
struct ImportReport {
    std::string source;              ///< "checkpoint of scene", "PyTorch weights", "PyTorch weights of the baseline"
    std::vector<std::string> loaded; ///< our names, in the order of the file
    std::vector<std::string> fresh;  ///< our names that keep their first values
    std::vector<std::string> unused; ///< the file's names without a place in this model
    int64_t loaded_parameters = 0, parameters = 0; ///< numbers, of the trained parameters
};

/// The baseline's name of a tensor as ours: "SE_block1.bn1.weight" is "block1.norm1.weight". Other names stay.
std::string imported_name(const std::string& name);

/// Checks a file against a model with these variables, which `ours` describes, and says what import_weights would do.
/// The classifier is never loaded; the city table is not when the file names other cities. Fails when nothing has a
/// place, when a tensor has the right name and another shape, when it is neither F32 nor F64, and when the file is a
/// checkpoint of another network or of other features (their number of frames may differ).
ImportReport check_import(const SafetensorsFile& file, const Variables& variables, const CheckpointInfo& ours);

/// The same, and fills the executor's parameters and running statistics. What has no value in the file stays as it is.
ImportReport import_weights(const SafetensorsFile& file, Executor& executor, const CheckpointInfo& ours);

/// Lines for the user: what was loaded, what was not, what the file had besides.
std::vector<std::string> describe(const ImportReport& report, const std::string& file);

} // namespace scene
