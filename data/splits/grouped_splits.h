#pragma once

// Splits that keep groups of clips whole: recording sessions or cities. They are two of the splits that make_split
// (data/splits/splits.h) makes.

#include "data/splits/splits.h"

namespace scene {

/// The splits "session" and "city" (SplitOptions::name). `labelled` and `unlabelled` are clips, ascending.
Split session_split(const ClipColumns& clips, const std::vector<int32_t>& labelled,
                    const std::vector<int32_t>& unlabelled, const SplitOptions& options);
Split city_split(const ClipColumns& clips, const std::vector<int32_t>& labelled, const std::vector<int32_t>& unlabelled,
                 const SplitOptions& options);

struct GroupedValidation {
    ValidationSplit labelled, unlabelled;
};
/// A validation split that keeps groups whole, as the split of this name ("session" or "city") does for the test:
/// - labelled clips: about options.test_share of every class is held out, in whole groups;
/// - unlabelled clips: those of the same groups are held out, then those of whole groups without labelled clips, in
///   random order, as far as they fit into that share. Unlabelled clips of an unknown group train.
///
/// Error: as for the split, such as a labelled clip without a group or a class with one group only.
GroupedValidation grouped_validation(const ClipColumns& clips, const std::vector<int32_t>& labelled,
                                     const std::vector<int32_t>& unlabelled, const SplitOptions& options);

} // namespace scene
