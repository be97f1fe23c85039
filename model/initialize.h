#pragma once

#include <cstdint>

#include "model/executor.h"

namespace scene {

/// Gives every parameter its first value from its Init, and every running statistic 0 (mean) or 1 (variance). The
/// random numbers depend on `seed`, the parameter's name and the element's index only, so they are the same whatever
/// else the model contains.
void initialize_parameters(Executor& executor, uint64_t seed);

} // namespace scene
