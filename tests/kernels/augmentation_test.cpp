// The distributions of augmentation's draws. The op that draws a batch is in draw_augmentation_test.cpp.

#include "kernels/draw_augmentation/augmentation.h"

#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/clip_draws.h"

namespace scene::test {
namespace {

TEST(SymmetricBeta, KnownQuantiles) {
    const auto expect = [](double alpha, const std::function<double(double)>& quantile, double tolerance) {
        const SymmetricBeta beta = SymmetricBeta::of(alpha);
        for (int i = 1; i <= SymmetricBeta::intervals; ++i)
            EXPECT_NEAR(beta.quantile[i] * 0x1p-32, quantile(i / 256.0), tolerance) << "alpha " << alpha << " at " << i;
    };
    expect(
        1, [](double u) { return u; }, 1e-9);
    expect(
        0.5, [](double u) { return std::pow(std::sin(std::numbers::pi * u / 2), 2); }, 1e-9);
    // u = 3 x^2 - 2 x^3
    expect(
        2, [](double u) { return 0.5 - std::sin(std::asin(1 - 2 * u) / 3); }, 1e-9);
    const SymmetricBeta narrow = SymmetricBeta::of(100);
    EXPECT_GT(narrow.quantile[1] * 0x1p-32, 0.4);
}

/// Over every 2^14-th word: the moments of the distribution itself, without sampling noise.
TEST(SymmetricBeta, Moments) {
    for (const double alpha : {0.1, 0.3, 0.4, 1.0, 2.0, 10.0, 100.0}) {
        const SymmetricBeta beta = SymmetricBeta::of(alpha);
        double sum = 0, squares = 0, fourth = 0;
        const int count = 1 << 18;
        for (int i = 0; i < count; ++i) {
            const uint32_t word = static_cast<uint32_t>(i) << 14 | (static_cast<uint32_t>(i) & 1u);
            const float share = beta.share(word);
            ASSERT_TRUE(share >= 0 && share <= 1) << share;
            const double x = static_cast<double>(share) - 0.5;
            sum += x, squares += x * x, fourth += x * x * x * x;
        }
        const double variance = 1 / (4 * (2 * alpha + 1));
        EXPECT_NEAR(sum / count, 0, 1e-5) << alpha;
        EXPECT_NEAR(std::sqrt(squares / count), std::sqrt(variance), 1e-3 * std::sqrt(variance)) << alpha;
        // The kurtosis of Beta(a, a) is 3 - 6/(2a + 3).
        const double expected = (3 - 6 / (2 * alpha + 3)) * variance * variance;
        EXPECT_NEAR(fourth / count, expected, 1e-2 * expected) << alpha;
    }
}

constexpr int64_t many = 4000, draw_frames = 50, draw_bands = 17;

std::vector<ClipDraw> draws_of(const Augmentation& settings, uint64_t seed, uint32_t step, int64_t batch = many) {
    const AugmentationSampler sampler(settings);
    std::vector<ClipDraw> draws;
    for (int64_t n = 0; n < batch; ++n)
        draws.push_back(draw_clip(sampler, seed, step, n, batch, draw_frames, draw_bands));
    return draws;
}

/// The frequency of each of 0 .. most among the values is near 1/(most + 1).
void expect_uniform(const std::vector<int64_t>& values, int64_t most, const std::string& what) {
    std::vector<double> count(static_cast<size_t>(most + 1));
    for (const int64_t value : values) {
        ASSERT_TRUE(value >= 0 && value <= most) << what << ": " << value;
        ++count[static_cast<size_t>(value)];
    }
    const double expected = static_cast<double>(values.size()) / static_cast<double>(most + 1);
    for (const double found : count) EXPECT_NEAR(found, expected, 5 * std::sqrt(expected)) << what;
}

TEST(AugmentationDraws, RollsAndGainsAreUniform) {
    std::vector<int64_t> rolls;
    double sum = 0, squares = 0;
    for (const ClipDraw& draw : draws_of(everything, 5, 9)) {
        rolls.push_back((draw.roll + 7) % draw_frames);
        ASSERT_TRUE(draw.gain >= -3 && draw.gain < 3);
        sum += static_cast<double>(draw.gain), squares += std::pow(static_cast<double>(draw.gain), 2);
    }
    expect_uniform(rolls, 14, "roll");
    EXPECT_NEAR(sum / many, 0, 5 * std::sqrt(3.0 / many));
    EXPECT_NEAR(squares / many, 3, 5 * std::sqrt(7.2 / many)); // the variance of x^2 is 4/45 * 3^4
}

TEST(AugmentationDraws, MasksLieInsideAndWidthsAreUniform) {
    std::vector<int64_t> widths, heights, from_end;
    for (const ClipDraw& draw : draws_of(everything, 5, 10)) {
        for (int i = 0; i < max_masks; ++i) {
            const Mask &time = draw.time[i], &frequency = draw.frequency[i];
            EXPECT_TRUE(time.first >= 0 && time.first + time.count <= draw_frames);
            EXPECT_TRUE(frequency.first >= 0 && frequency.first + frequency.count <= draw_bands);
            if (i < 3) widths.push_back(time.count);
            if (i < 2) heights.push_back(frequency.count);
            if (i == 1 && frequency.count == 2) from_end.push_back(frequency.first);
            EXPECT_TRUE(i < 3 || time.count == 0);
            EXPECT_TRUE(i < 2 || frequency.count == 0);
        }
    }
    expect_uniform(widths, 6, "width in frames");
    expect_uniform(heights, 3, "width in bands");
    expect_uniform(from_end, draw_bands - 2, "place of a mask of two bands");
}

TEST(AugmentationDraws, EveryClipIsAPartnerOnceAndNoneItsOwn) {
    for (const int64_t batch : {2, 3, 16}) {
        for (uint32_t step = 0; step < 20; ++step) {
            std::vector<int> mixed(static_cast<size_t>(batch)), styled(static_cast<size_t>(batch));
            const auto draws = draws_of(everything, 1, step, batch);
            for (size_t n = 0; n < draws.size(); ++n) {
                EXPECT_NE(draws[n].mix_partner, static_cast<int32_t>(n));
                EXPECT_NE(draws[n].style_partner, static_cast<int32_t>(n));
                ++mixed[static_cast<size_t>(draws[n].mix_partner)],
                    ++styled[static_cast<size_t>(draws[n].style_partner)];
            }
            EXPECT_EQ(mixed, std::vector<int>(static_cast<size_t>(batch), 1));
            EXPECT_EQ(styled, std::vector<int>(static_cast<size_t>(batch), 1));
        }
    }
    EXPECT_EQ(draws_of(everything, 1, 2, 1)[0].mix_partner, 0);
}

TEST(AugmentationDraws, ProbabilitiesAndShares) {
    int mixed = 0;
    double sum = 0;
    for (const ClipDraw& draw : draws_of(everything, 3, 1)) {
        ASSERT_TRUE(draw.mix_share >= 0.5f && draw.mix_share <= 1);
        if (draw.mix_share < 1) ++mixed, sum += 1 - static_cast<double>(draw.mix_share);
    }
    EXPECT_NEAR(mixed, 0.7 * many, 5 * std::sqrt(0.21 * many));
    // E min(lambda, 1 - lambda) of Beta(0.3, 0.3), by quadrature in double precision.
    double weights = 0, mean = 0;
    for (int i = 0; i < 100000; ++i) {
        const double u = (i + 0.5) / 100000, x = 0.5 * std::pow(u, 1 / 0.3); // x^(a - 1) dx is du
        const double weight = std::pow(1 - x, 0.3 - 1);
        weights += weight, mean += weight * x;
    }
    EXPECT_NEAR(sum / mixed, mean / weights, 5 * 0.15 / std::sqrt(mixed));

    Augmentation sometimes = everything;
    sometimes.style_probability = 0.4f;
    int styled = 0;
    for (uint32_t step = 0; step < 300; ++step) {
        const auto draws = draws_of(sometimes, 3, step, 3);
        const bool whole = draws[0].style_share != 1;
        for (const ClipDraw& draw : draws) EXPECT_EQ(draw.style_share != 1, whole) << "the whole batch or none of it";
        styled += whole;
    }
    EXPECT_NEAR(styled, 120, 5 * std::sqrt(72.0));
}

TEST(AugmentationDraws, DependOnSeedStepAndPlaceAlone) {
    const auto bytes = [](const ClipDraw& draw) {
        return std::string(reinterpret_cast<const char*>(&draw), sizeof draw);
    };
    const auto draws = draws_of(everything, 1, 1, 4), again = draws_of(everything, 1, 1, 4);
    const auto other_step = draws_of(everything, 1, 2, 4), other_seed = draws_of(everything, 2, 1, 4);
    for (size_t n = 0; n < 4; ++n) {
        EXPECT_EQ(bytes(draws[n]), bytes(again[n]));
        EXPECT_NE(bytes(draws[n]), bytes(other_step[n]));
        EXPECT_NE(bytes(draws[n]), bytes(other_seed[n]));
        EXPECT_NE(bytes(draws[n]), bytes(draws[(n + 1) % 4]));
    }
}

TEST(AugmentationDraws, ImpossibleSettingsAreRefused) {
    const auto refused = [](Augmentation settings) { EXPECT_THROW(AugmentationSampler{settings}, std::logic_error); };
    refused({.roll = -1});
    refused({.gain = -1});
    refused({.gain = INFINITY});
    refused({.style_probability = 1.5f, .style_alpha = 1});
    refused({.style_probability = 1, .style_alpha = -1});
    refused({.frequency_masks = max_masks + 1});
    refused({.time_masks = 1, .time_mask = -3});
    refused({.mixup_probability = -0.1f});
    refused({.mixup_probability = 1, .mixup_alpha = NAN});
    EXPECT_FALSE(Augmentation{}.any());
    EXPECT_FALSE((Augmentation{.time_masks = 3}.any()));
    EXPECT_FALSE((Augmentation{.mixup_probability = 1}.any()));
}

} // namespace
} // namespace scene::test
