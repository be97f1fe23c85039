#pragma once

#include <algorithm>
#include <vector>

#include "kernels/error.h"

namespace scene {

/// Of an even number of values the mean of the two in the middle. `values` must not be empty.
inline double median(std::vector<double> values) {
    SCENE_CHECK(!values.empty(), "a median needs values");
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

} // namespace scene
