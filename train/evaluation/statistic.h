#pragma once

#include <limits>
#include <string>
#include <vector>

namespace scene {

/// Mean and sample standard deviation (n - 1) of the values that are not NaN. The mean is NaN without such values, the
/// deviation with fewer than two.
struct Statistic {
    double mean = std::numeric_limits<double>::quiet_NaN(), deviation = std::numeric_limits<double>::quiet_NaN();
};
Statistic statistic(const std::vector<double>& values);

/// "0.930 ± 0.004", "0.930" for a single value, "-" for none.
std::string statistic_text(const std::vector<double>& values);

} // namespace scene
