#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/compare.h"

namespace scene::test {

/// The gradient of `loss` at `at`, by central differences in double. With values near 1 and step 1e-5 the error is
/// about 1e-9. `loss` must not have a kink within a step of `at`.
inline std::vector<double> finite_differences(std::vector<double> at,
                                              const std::function<double(const std::vector<double>&)>& loss,
                                              double step = 1e-5) {
    std::vector<double> gradient(at.size());
    for (size_t i = 0; i < at.size(); ++i) {
        const double value = at[i];
        at[i] = value + step;
        const double above = loss(at);
        at[i] = value - step;
        const double below = loss(at);
        at[i] = value;
        gradient[i] = (above - below) / (2 * step);
    }
    return gradient;
}

/// sum(a*b). With b = dy it is the loss whose gradient an op's backward pass computes.
inline double inner_product(const std::vector<double>& a, const std::vector<double>& b) {
    EXPECT_EQ(a.size(), b.size());
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

} // namespace scene::test
