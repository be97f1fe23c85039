#pragma once

#include "data/splits/splits.h"

namespace scene {

/// The split "official" of make_split (data/splits/splits.h): the data set's own lists.
Split official_split(const ClipColumns& clips, const SplitOptions& options);

} // namespace scene
