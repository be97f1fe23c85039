#pragma once

// Batch norm and its epilogues, naively and in double precision.

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/backend.h"
#include "tests/support/tensors.h"

namespace scene::test {

struct NormCase {
    Shape x; ///< [N, H, W, C]
    NormEpilogue epilogue;
    StepControl control{.seed = 11, .step = 4};

    int64_t channels() const { return x[3]; }
    int64_t rows() const { return x[0] * x[1] * x[2]; }
    Shape y() const { return epilogue.max_pool ? Shape{x[0], x[1] / 2, x[2] / 2, x[3]} : x; }
    std::string text() const {
        return x.text() + (epilogue.relu ? " relu" : "") + (epilogue.max_pool ? " pool" : "") +
               (epilogue.dropout.p > 0 ? " dropout" : "");
    }
};

struct NormMoments {
    std::vector<double> mean, variance;
};

inline NormMoments reference_moments(const std::vector<double>& x, int64_t channels) {
    const auto width = static_cast<size_t>(channels);
    const double rows = static_cast<double>(x.size() / width);
    NormMoments moments{std::vector<double>(width), std::vector<double>(width)};
    for (size_t i = 0; i < x.size(); ++i) moments.mean[i % width] += x[i] / rows;
    for (size_t i = 0; i < x.size(); ++i)
        moments.variance[i % width] += (x[i] - moments.mean[i % width]) * (x[i] - moments.mean[i % width]) / rows;
    return moments;
}

/// For each output element: its value before dropout, the input it came from (the first of equal maxima), and
/// whether the relu passes it.
struct Source {
    double value;
    size_t input;
    bool passes;
};

inline std::vector<Source> reference_sources(const NormCase& norm, const std::vector<double>& x,
                                             const std::vector<double>& scale, const std::vector<double>& shift) {
    const auto channels = static_cast<size_t>(norm.channels());
    const auto z = [&](size_t i) { return scale[i % channels] * x[i] + shift[i % channels]; };
    const auto source = [&](size_t i) {
        const bool passes = !norm.epilogue.relu || z(i) > 0;
        return Source{passes ? z(i) : 0, i, passes};
    };
    std::vector<Source> sources;
    if (!norm.epilogue.max_pool) {
        for (size_t i = 0; i < x.size(); ++i) sources.push_back(source(i));
        return sources;
    }
    for (int64_t n = 0; n < norm.x[0]; ++n)
        for (int64_t p = 0; p < norm.x[1] / 2; ++p)
            for (int64_t q = 0; q < norm.x[2] / 2; ++q)
                for (int64_t c = 0; c < norm.x[3]; ++c) {
                    const auto at = [&](int64_t dh, int64_t dw) {
                        return source(static_cast<size_t>(
                            ((n * norm.x[1] + 2 * p + dh) * norm.x[2] + 2 * q + dw) * norm.x[3] + c));
                    };
                    Source largest = at(0, 0);
                    for (const Source& other : {at(0, 1), at(1, 0), at(1, 1)})
                        if (other.value > largest.value) largest = other;
                    sources.push_back(largest);
                }
    return sources;
}

inline std::vector<double> reference_epilogue(const NormCase& norm, const std::vector<double>& x,
                                              const std::vector<double>& scale, const std::vector<double>& shift) {
    std::vector<double> y;
    for (const Source& source : reference_sources(norm, x, scale, shift)) {
        const auto index = static_cast<int64_t>(y.size());
        y.push_back(source.value * dropout_factor(norm.epilogue.dropout, norm.control, index));
    }
    return y;
}

/// The shapes and epilogues of the tests: odd extents, channels that are and are not whole vectors.
inline std::vector<NormCase> norm_cases(const std::vector<Shape>& shapes) {
    std::vector<NormCase> cases;
    for (const Shape& shape : shapes)
        for (const bool relu : {false, true}) {
            cases.push_back({shape, {.relu = relu, .dropout = {}, .max_pool = false}});
            cases.push_back({shape, {.relu = relu, .dropout = {.p = 0.3f, .stream = 9}, .max_pool = false}});
            if (shape[1] > 1 && shape[2] > 1) cases.push_back({shape, {.relu = relu, .dropout = {}, .max_pool = true}});
        }
    return cases;
}

} // namespace scene::test
