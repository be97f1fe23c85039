#pragma once

// Splits that keep whole groups of clips together: recording sessions, cities. make_split (data/splits.h) chooses them.

#include "data/splits.h"

namespace scene {

/// The splits "session" and "city" of the `labelled` and `unlabelled` clips, both ascending.
Split session_split(const ClipColumns& clips, const std::vector<int32_t>& labelled,
                    const std::vector<int32_t>& unlabelled, const SplitOptions& options);
Split city_split(const ClipColumns& clips, const std::vector<int32_t>& labelled, const std::vector<int32_t>& unlabelled,
                 const SplitOptions& options);

} // namespace scene
