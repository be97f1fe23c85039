#pragma once

// Initialises a model from the weights of another training run (docs/importing.md). Two kinds of safetensors files:
// - A checkpoint of scene, recognised by its metadata "format". Convolution weights are [K, R, S, C]; architecture,
//   width, deltas and features must be this model's.
// - Anything else is read as a PyTorch state_dict. Convolution weights are [K, C, R, S]; the names are those of our
//   modules or of the challenge baseline's SE_Trans.

#include <string>
#include <vector>

#include "model/checkpoint.h"

namespace scene {

/// Which tensors an import loads, and which it does not.
struct ImportReport {
    std::string source;              ///< "checkpoint of scene", "PyTorch weights", "PyTorch weights of the baseline"
    std::vector<std::string> loaded; ///< our names, in the order of the file
    std::vector<std::string> fresh;  ///< our names that are not loaded and keep their initial values
    std::vector<std::string> unused; ///< the file's names that this model does not have
    int64_t loaded_parameters = 0, parameters = 0; ///< scalars: loaded, and in the model; without running statistics
};

/// Maps a tensor name of the baseline to ours: "SE_block1.bn1.weight" to "block1.norm1.weight". Other names are
/// returned unchanged.
std::string imported_name(const std::string& name);

/// Checks a file against the model with these variables, which `ours` describes, and reports what import_weights would
/// do. The classifier is never loaded. The city embedding is not loaded from a checkpoint with another list of cities.
/// Throws Error if
/// - no tensor of the file can be loaded;
/// - a tensor to load has another shape than the model's, or is neither F32 nor F64;
/// - two tensors of the file map to the same tensor of the model;
/// - the file is a checkpoint of another network or of other features (the clip length may differ).
ImportReport check_import(const SafetensorsFile& file, const Variables& variables, const CheckpointInfo& ours);

/// Checks in the same way, then loads parameters and running statistics. What is not in the file keeps its values.
ImportReport import_weights(const SafetensorsFile& file, Executor& executor, const CheckpointInfo& ours);

/// Lines for the user: what was loaded, what was not, and which tensors of the file were not used.
std::vector<std::string> describe(const ImportReport& report, const std::string& file);

} // namespace scene
