#include <algorithm>

#include <gtest/gtest.h>

#include "kernels/backend.h"
#include "kernels/safetensors.h"
#include "tests/support/tensors.h"

namespace scene {
namespace {

using test::all_close;
using test::Guarded;

/// Channel `c` of [N, T, F, 3].
std::vector<float> channel(const Guarded& out, int64_t c) {
    std::vector<float> values;
    for (int64_t i = c; i < out.size(); i += 3) values.push_back(out[i]);
    return values;
}

Guarded deltas(const Guarded& x, Backend& backend = test::cpu()) {
    Guarded out({x.shape()[0], x.shape()[1], x.shape()[2], 3});
    backend.deltas(out, x);
    return out;
}

TEST(Deltas, EqualLibrosa) {
    const SafetensorsFile goldens("tests/goldens/logmel.safetensors");
    const std::span<const float> features = goldens.tensor("signal.gap").as<float>();
    const Guarded x = test::filled({1, 49, 64}, {features.begin(), features.end()});
    const Guarded out = deltas(x);
    EXPECT_TRUE(all_close(std::span<const float>(channel(out, 0)), features, {}));
    for (int order : {1, 2}) {
        const std::vector<float> actual = channel(out, order);
        // Nine float terms of up to 82 dB each, times weights of at most 28/462 and 4/60, rounded a dozen times.
        EXPECT_TRUE(all_close(std::span(actual), goldens.tensor("delta." + std::to_string(order)).as<float>(),
                              {.absolute = 2e-5}, "order " + std::to_string(order)));
    }
}

TEST(Deltas, OfAParabolaAreExact) {
    // x = t^2 + 3t: the slope of a line fitted around t is 2t + 3, the curvature 2; the ends repeat the nearest fit.
    constexpr int64_t frames = 12, bands = 3;
    Guarded x({2, frames, bands});
    for (int64_t i = 0; i < x.size(); ++i) {
        const auto t = static_cast<float>(i / bands % frames);
        x[i] = t * t + 3 * t;
    }
    const Guarded out = deltas(x);
    const std::vector<float> slope = channel(out, 1), curvature = channel(out, 2);
    for (int64_t i = 0; i < x.size(); ++i) {
        const auto t = static_cast<float>(std::clamp<int64_t>(i / bands % frames, 4, frames - 5));
        ASSERT_FLOAT_EQ(slope[static_cast<size_t>(i)], 2 * t + 3) << i;
        ASSERT_FLOAT_EQ(curvature[static_cast<size_t>(i)], 2) << i;
    }
}

TEST(Deltas, NineFramesAreTheFewest) {
    EXPECT_NO_THROW(deltas(test::uniform({1, 9, 5}, 1)));
    EXPECT_THROW(deltas(test::uniform({1, 8, 5}, 1)), std::logic_error);
    EXPECT_THROW(test::cpu().deltas(Guarded({1, 9, 5, 2}), test::uniform({1, 9, 5}, 1)), std::logic_error);
}

TEST(Deltas, SameBitsOnEveryNumberOfThreads) {
    const Guarded x = test::uniform({3, 31, 7}, 7);
    test::expect_same_bits([&](Backend& backend) { return std::vector{deltas(x, backend)}; });
}

} // namespace
} // namespace scene
