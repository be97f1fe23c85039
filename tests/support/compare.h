#pragma once

// The comparison of arrays with a tolerance. NaN and Inf fail first, and a failure is !(error <= allowed), so that no
// comparison with NaN passes.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include <gtest/gtest.h>

namespace scene::test {

/// Element i may differ by absolute + relative*|expected[i]| + of_largest*max|expected|.
struct Tolerance {
    double absolute = 0;
    double relative = 0;
    double of_largest = 0;
};

template <typename Actual, typename Expected> testing::AssertionResult
all_close(std::span<Actual> actual, std::span<Expected> expected, Tolerance tolerance, const std::string& label = "") {
    const auto failure = [&] { return testing::AssertionFailure() << label << (label.empty() ? "" : ": "); };
    if (actual.size() != expected.size())
        return failure() << actual.size() << " elements where " << expected.size() << " are expected";
    if (expected.empty()) return failure() << "nothing to compare";
    double largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        if (!std::isfinite(static_cast<double>(expected[i])))
            return failure() << "the expected value at " << i << " is " << expected[i];
        if (!std::isfinite(static_cast<double>(actual[i])))
            return failure() << "element " << i << " is " << actual[i] << ", expected " << expected[i];
        largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    }
    double worst_share = 0;
    size_t worst = 0, wrong = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        const double want = static_cast<double>(expected[i]);
        const double error = std::abs(static_cast<double>(actual[i]) - want);
        const double allowed =
            tolerance.absolute + tolerance.relative * std::abs(want) + tolerance.of_largest * largest;
        if (!(error <= allowed)) ++wrong;
        const double share = error == 0 ? 0 : error / allowed;
        if (!(share <= worst_share)) worst_share = share, worst = i;
    }
    if (wrong == 0) return testing::AssertionSuccess();
    return failure() << wrong << " of " << expected.size() << " elements differ; worst at " << worst << ": "
                     << static_cast<double>(actual[worst]) << ", expected " << static_cast<double>(expected[worst])
                     << " (" << worst_share << " x the tolerance, largest expected " << largest << ")";
}

} // namespace scene::test
