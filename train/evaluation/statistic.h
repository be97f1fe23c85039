#pragma once

#include <limits>
#include <string>
#include <vector>

namespace scene {

/// Mean and sample standard deviation (n - 1) of the values that are numbers; NaN where there are too few.
struct Statistic {
    double mean = std::numeric_limits<double>::quiet_NaN(), deviation = std::numeric_limits<double>::quiet_NaN();
};
Statistic statistic(const std::vector<double>& values);

/// "0.930", "0.930 ± 0.004", or "-" if there is no number.
std::string statistic_text(const std::vector<double>& values);

} // namespace scene
