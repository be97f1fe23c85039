#pragma once

#include <cstdint>

#include "model/executor.h"

namespace scene {

/// Initialises every parameter as its Init says, every running mean with 0 and every running variance with 1. A random
/// number depends on `seed`, the parameter's name and the element's index only, not on the rest of the model.
void initialize_parameters(Executor& executor, uint64_t seed);

} // namespace scene
