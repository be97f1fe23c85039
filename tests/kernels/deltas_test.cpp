#include <algorithm>

#include "kernels/files/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

Deltas<HostArray> deltas_of(const HostArray& x) {
    return {.y = empty({x.shape[0], x.shape[1], x.shape[2], 3}), .x = x};
}

/// Channel `c` of [N, T, F, 3].
std::vector<double> channel(const HostArray& y, int64_t c) {
    std::vector<double> values;
    for (int64_t i = c; i < y.size(); i += 3) values.push_back(y[i]);
    return values;
}

TEST(Deltas, EqualLibrosa) {
    const SafetensorsFile goldens("tests/goldens/logmel.safetensors");
    const std::span<const float> features = goldens.tensor("signal.gap").as<float>();
    const HostArray x = with_values({1, 49, 64}, {features.begin(), features.end()});
    on_each_device(deltas_of(x), [&](const Deltas<HostArray>& after) {
        EXPECT_EQ(channel(after.y, 0), x.values);
        for (int order : {1, 2}) {
            const std::vector<double> actual = channel(after.y, order);
            // Nine float terms of up to 82 dB each, times weights of at most 28/462 and 4/60, rounded a dozen times.
            EXPECT_TRUE(all_close(std::span(actual), goldens.tensor("delta." + std::to_string(order)).as<float>(),
                                  {.absolute = 2e-5}, "order " + std::to_string(order)));
        }
    });
}

/// x = t^2 + 3t: the slope of a line fitted around t is 2t + 3, the second derivative 2. The ends repeat the
/// nearest fit.
TEST(Deltas, OfAParabolaAreExact) {
    constexpr int64_t frames = 12, bands = 3;
    HostArray x = empty({2, frames, bands});
    x.given = true;
    for (int64_t i = 0; i < x.size(); ++i) {
        const auto t = static_cast<double>(i / bands % frames);
        x[i] = t * t + 3 * t;
    }
    on_each_device(deltas_of(x), [&](const Deltas<HostArray>& after) {
        for (int64_t i = 0; i < x.size(); ++i) {
            const auto t = static_cast<double>(std::clamp<int64_t>(i / bands % frames, 4, frames - 5));
            ASSERT_FLOAT_EQ(static_cast<float>(after.y[3 * i + 1]), static_cast<float>(2 * t + 3)) << i;
            ASSERT_FLOAT_EQ(static_cast<float>(after.y[3 * i + 2]), 2) << i;
        }
    });
}

TEST(Deltas, EqualTheReference) {
    for (const Shape& shape : {Shape{2, 9, 3}, Shape{1, 40, 64}, Shape{3, 31, 7}, Shape{1, 10, 1}})
        expect_like_reference(deltas_of(uniform_f32(shape, 5, -80, 0)), shape.text());
}

TEST(Deltas, SameBits) { expect_same_bits(deltas_of(uniform_f32({3, 31, 7}, 7))); }

TEST(Deltas, FewerThanNineFramesAndWrongShapesAreRefused) {
    expect_refused(deltas_of(uniform_f32({1, 8, 5}, 1)));
    expect_refused(Deltas<HostArray>{.y = empty({1, 9, 5, 2}), .x = uniform_f32({1, 9, 5}, 1)});
    expect_refused(Deltas<HostArray>{.y = empty({1, 9, 5, 3}), .x = uniform_f32({9, 5}, 1)});
}

} // namespace
} // namespace scene::test
