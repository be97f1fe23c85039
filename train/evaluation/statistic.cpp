#include "train/evaluation/statistic.h"

#include <cmath>

#include <fmt/core.h>

namespace scene {

Statistic statistic(const std::vector<double>& values) {
    double sum = 0, count = 0, squares = 0;
    for (double value : values)
        if (!std::isnan(value)) sum += value, ++count;
    if (count == 0) return {};
    Statistic out;
    out.mean = sum / count;
    for (double value : values)
        if (!std::isnan(value)) squares += (value - out.mean) * (value - out.mean);
    if (count > 1) out.deviation = std::sqrt(squares / (count - 1));
    return out;
}

std::string statistic_text(const std::vector<double>& values) {
    const Statistic one = statistic(values);
    if (std::isnan(one.mean)) return "-";
    if (std::isnan(one.deviation)) return fmt::format("{:.3f}", one.mean);
    return fmt::format("{:.3f} ± {:.3f}", one.mean, one.deviation);
}

} // namespace scene
