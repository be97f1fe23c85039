#pragma once

// Splits that keep whole groups of clips together: recording sessions, cities. make_split (data/splits/splits.h)
// chooses them.

#include "data/splits/splits.h"

namespace scene {

/// The splits "session" and "city" of the `labelled` and `unlabelled` clips, both ascending.
Split session_split(const ClipColumns& clips, const std::vector<int32_t>& labelled,
                    const std::vector<int32_t>& unlabelled, const SplitOptions& options);
Split city_split(const ClipColumns& clips, const std::vector<int32_t>& labelled, const std::vector<int32_t>& unlabelled,
                 const SplitOptions& options);

/// A validation_split of both kinds of clips that keeps groups whole, as the test of the split of this name ("session",
/// "city") does: about options.test_share of every class is held out, and of the unlabelled clips those of the same
/// groups, and then whole groups without labels up to that share. Unlabelled clips without a group train. Errors as for
/// the split: a labelled clip without a group, a class that has one group only.
struct GroupedValidation {
    ValidationSplit labelled, unlabelled;
};
GroupedValidation grouped_validation(const ClipColumns& clips, const std::vector<int32_t>& labelled,
                                     const std::vector<int32_t>& unlabelled, const SplitOptions& options);

} // namespace scene
