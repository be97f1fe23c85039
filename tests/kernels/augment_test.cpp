// Augmentation: what is drawn against what must be drawn, and each step against a plain version in double precision.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

const Augmentation everything{.roll = 7,
                              .gain = 3,
                              .style_probability = 1,
                              .style_alpha = 0.4f,
                              .frequency_masks = 2,
                              .frequency_mask = 3,
                              .time_masks = 3,
                              .time_mask = 6,
                              .mixup_probability = 0.7f,
                              .mixup_alpha = 0.3f};

// ---- draws --------------------------------------------------------------------------------------------------------

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

/// Every 2^14-th word: the moments of the distribution itself, without chance.
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

std::vector<ClipDraw> draws_of(const Augmentation& settings, uint64_t seed, uint32_t step, int64_t batch = many,
                               int64_t frames = draw_frames, int64_t bands = draw_bands) {
    const Guarded draws({batch, sizeof(ClipDraw)}, DType::U8);
    cpu().draw_augmentation(draws, control_with({.seed = seed, .step = step}), AugmentationSampler(settings), frames,
                            bands);
    std::vector<ClipDraw> out(static_cast<size_t>(batch));
    std::memcpy(out.data(), static_cast<Tensor>(draws).data, out.size() * sizeof(ClipDraw));
    return out;
}

/// Shares of 0 .. most among the values, each near 1/(most + 1).
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

/// The bits of a draw must not change: a run goes on with them after a new build.
TEST(AugmentationDraws, KnownAnswer) {
    const ClipDraw draw = draws_of(everything, 1234, 7, 5)[3];
    EXPECT_EQ(draw.roll, 6);
    EXPECT_EQ(draw.gain, 0x1.681872p+0f);
    EXPECT_EQ(draw.style_partner, 1);
    EXPECT_EQ(draw.style_share, 0x1.55594p-6f);
    EXPECT_EQ(draw.mix_partner, 1);
    EXPECT_EQ(draw.mix_share, 0x1.c2530ap-1f);
    EXPECT_EQ(draw.frequency[1].first, 11);
    EXPECT_EQ(draw.frequency[1].count, 0);
    EXPECT_EQ(draw.time[2].first, 17);
    EXPECT_EQ(draw.time[2].count, 5);
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

// ---- features -----------------------------------------------------------------------------------------------------

/// The four steps one after another, each over the whole batch.
std::vector<double> plainly(const Guarded& x, const std::vector<ClipDraw>& draws) {
    const int64_t batch = x.shape()[0], frames = x.shape()[1], bands = x.shape()[2], size = frames * bands;
    const auto at = [&](int64_t n, int64_t t, int64_t f) { return static_cast<size_t>((n * frames + t) * bands + f); };
    std::vector<double> moved(static_cast<size_t>(batch * size)), styled, masked, mixed;
    for (int64_t n = 0; n < batch; ++n)
        for (int64_t t = 0; t < frames; ++t)
            for (int64_t f = 0; f < bands; ++f)
                moved[at(n, (t + draws[static_cast<size_t>(n)].roll) % frames, f)] =
                    static_cast<double>(x[(n * frames + t) * bands + f]) +
                    static_cast<double>(draws[static_cast<size_t>(n)].gain);
    const auto moments = [&](int64_t n, int64_t f) {
        double mean = 0, variance = 0;
        for (int64_t t = 0; t < frames; ++t) mean += moved[at(n, t, f)] / static_cast<double>(frames);
        for (int64_t t = 0; t < frames; ++t)
            variance += std::pow(moved[at(n, t, f)] - mean, 2) / static_cast<double>(frames);
        return std::pair(mean, std::sqrt(variance + 1e-6));
    };
    styled = moved;
    for (int64_t n = 0; n < batch; ++n) {
        const ClipDraw& draw = draws[static_cast<size_t>(n)];
        const double share = static_cast<double>(draw.style_share);
        for (int64_t f = 0; f < bands; ++f) {
            const auto [mean, deviation] = moments(n, f);
            const auto [other_mean, other_deviation] = moments(draw.style_partner, f);
            for (int64_t t = 0; t < frames; ++t)
                styled[at(n, t, f)] =
                    (moved[at(n, t, f)] - mean) / deviation * (share * deviation + (1 - share) * other_deviation) +
                    share * mean + (1 - share) * other_mean;
        }
    }
    masked = styled;
    for (int64_t n = 0; n < batch; ++n) {
        const ClipDraw& draw = draws[static_cast<size_t>(n)];
        double mean = 0;
        for (size_t i = at(n, 0, 0); i < at(n + 1, 0, 0); ++i) mean += styled[i] / static_cast<double>(size);
        for (int i = 0; i < max_masks; ++i) {
            for (int64_t f = draw.frequency[i].first; f < draw.frequency[i].first + draw.frequency[i].count; ++f)
                for (int64_t t = 0; t < frames; ++t) masked[at(n, t, f)] = mean;
            for (int64_t t = draw.time[i].first; t < draw.time[i].first + draw.time[i].count; ++t)
                for (int64_t f = 0; f < bands; ++f) masked[at(n, t, f)] = mean;
        }
    }
    mixed = masked;
    for (int64_t n = 0; n < batch; ++n) {
        const ClipDraw& draw = draws[static_cast<size_t>(n)];
        const double share = static_cast<double>(draw.mix_share);
        for (int64_t i = 0; i < size; ++i)
            mixed[static_cast<size_t>(n * size + i)] =
                share * masked[static_cast<size_t>(n * size + i)] +
                (1 - share) * masked[static_cast<size_t>(draw.mix_partner * size + i)];
    }
    return mixed;
}

struct Augmented {
    Guarded y, mean, deviation, clip_mean, draws;
};

Augmented augmented(Backend& backend, const Guarded& x, const Augmentation& settings, uint32_t step) {
    const Shape& shape = x.shape();
    Augmented out{Guarded(shape), Guarded({shape[0], shape[2]}), Guarded({shape[0], shape[2]}), Guarded({shape[0]}),
                  Guarded({shape[0], sizeof(ClipDraw)}, DType::U8)};
    backend.draw_augmentation(out.draws, control_with({.seed = 77, .step = step}), AugmentationSampler(settings),
                              shape[1], shape[2]);
    if (!settings.needs_moments()) {
        backend.augment_features(out.y, x, out.draws, {}, {}, {});
        return out;
    }
    backend.band_moments(out.mean, out.deviation, out.clip_mean, x);
    backend.augment_features(out.y, x, out.draws, out.mean, out.deviation, out.clip_mean);
    return out;
}

TEST(AugmentFeatures, EachPartAndAllTogether) {
    const std::vector<std::pair<const char*, Augmentation>> cases{
        {"roll", {.roll = 100}},
        {"gain", {.gain = 6}},
        {"style", {.style_probability = 1, .style_alpha = 0.3f}},
        {"frequency masks", {.frequency_masks = 2, .frequency_mask = 3}},
        {"time masks", {.time_masks = 4, .time_mask = 9}},
        {"mixup", {.mixup_probability = 1, .mixup_alpha = 0.4f}},
        {"everything", everything},
    };
    for (const Shape& shape : {Shape{5, 23, 7}, Shape{1, 9, 16}, Shape{16, 31, 1}, Shape{3, 64, 64}}) {
        for (const auto& [name, settings] : cases) {
            for (uint32_t step = 0; step < 3; ++step) {
                const Guarded x = uniform(shape, 11 + step, -80, 0);
                const Augmented out = augmented(cpu(), x, settings, step);
                const auto draws = draws_of(settings, 77, step, shape[0], shape[1], shape[2]);
                EXPECT_TRUE(close(out.y, plainly(x, draws), {.of_largest = 16 * 0x1p-24},
                                  std::string(name) + " " + shape.text()));
            }
        }
    }
}

TEST(AugmentFeatures, MovedOrUntouchedValuesKeepTheirBits) {
    const Guarded x = uniform({4, 20, 6}, 3, -80, 0);
    const Augmented out = augmented(cpu(), x, {.roll = 20}, 1);
    EXPECT_FALSE(out.y.same_bytes(x));
    for (int64_t n = 0; n < 4; ++n) {
        const auto begin = static_cast<size_t>(n) * 120;
        std::vector<float> before(x.floats().begin() + static_cast<int64_t>(begin), x.floats().begin() + n * 120 + 120);
        std::vector<float> after(out.y.floats().begin() + n * 120, out.y.floats().begin() + n * 120 + 120);
        std::sort(before.begin(), before.end()), std::sort(after.begin(), after.end());
        EXPECT_EQ(before, after);
    }
    // Drawn, but not for this batch.
    const Augmentation never{.style_probability = 1e-9f, .style_alpha = 1};
    EXPECT_TRUE(augmented(cpu(), x, never, 1).y.same_bytes(x));
}

TEST(AugmentFeatures, SilenceStaysFinite) {
    const Guarded silent = filled({3, 12, 4}, std::vector<float>(144, -100.0f));
    const Guarded augmented_silence = augmented(cpu(), silent, everything, 4).y;
    for (const float value : augmented_silence.floats()) EXPECT_NEAR(value, -100, 3.001) << "but for the gain";
}

TEST(AugmentFeatures, TheSameBitsOnAnyNumberOfThreads) {
    const Guarded x = uniform({9, 70, 33}, 3, -80, 0);
    expect_same_bits([&](Backend& backend) {
        Augmented out = augmented(backend, x, everything, 2);
        return std::vector<Guarded>{out.y, out.mean, out.deviation, out.clip_mean, out.draws};
    });
}

TEST(AugmentFeatures, WrongOperandsAreRefused) {
    const Guarded x = uniform({2, 8, 4}, 1), y({2, 8, 4}), mean({2, 4}), deviation({2, 4}), clip_mean({2});
    const Guarded draws({2, sizeof(ClipDraw)}, DType::U8), short_draws({2, 8}, DType::U8);
    const AugmentationSampler sampler(everything);
    cpu().draw_augmentation(draws, control_with({}), sampler, 8, 4);
    EXPECT_THROW(cpu().draw_augmentation(short_draws, control_with({}), sampler, 8, 4), std::logic_error);
    EXPECT_THROW(cpu().augment_features(y, x, draws, {}, {}, {}), std::logic_error) << "no moments";
    EXPECT_THROW(cpu().augment_features(x, x, draws, mean, deviation, clip_mean), std::logic_error) << "in place";
    EXPECT_THROW(cpu().augment_features(y, x, short_draws, mean, deviation, clip_mean), std::logic_error);
    EXPECT_THROW(cpu().band_moments(mean, deviation, mean, x), std::logic_error);
}

TEST(BandMoments, AsDefined) {
    for (const Shape& shape : {Shape{3, 41, 5}, Shape{2, 1, 64}, Shape{1, 500, 33}}) {
        const Guarded x = uniform(shape, 1, -90, -10), mean({shape[0], shape[2]}), deviation({shape[0], shape[2]});
        const Guarded clip_mean({shape[0]});
        cpu().band_moments(mean, deviation, clip_mean, x);
        const int64_t frames = shape[1], bands = shape[2];
        std::vector<double> means, deviations, clip_means(static_cast<size_t>(shape[0]));
        for (int64_t n = 0; n < shape[0]; ++n)
            for (int64_t f = 0; f < bands; ++f) {
                double sum = 0, squares = 0;
                for (int64_t t = 0; t < frames; ++t) sum += static_cast<double>(x[(n * frames + t) * bands + f]);
                means.push_back(sum / static_cast<double>(frames));
                for (int64_t t = 0; t < frames; ++t)
                    squares += std::pow(static_cast<double>(x[(n * frames + t) * bands + f]) - means.back(), 2);
                deviations.push_back(std::sqrt(squares / static_cast<double>(frames) + 1e-6));
                clip_means[static_cast<size_t>(n)] += means.back() / static_cast<double>(bands);
            }
        EXPECT_TRUE(close(mean, means, roundings(1), "mean"));
        EXPECT_TRUE(close(deviation, deviations, roundings(1), "deviation"));
        EXPECT_TRUE(close(clip_mean, clip_means, roundings(1), "mean of the clip"));
    }
}

// ---- targets ------------------------------------------------------------------------------------------------------

/// -sum q log p with q = (1 - smoothing) target + smoothing/K.
double loss_of(const float* target, const std::vector<double>& p, double smoothing) {
    double loss = 0;
    for (size_t k = 0; k < p.size(); ++k)
        loss -= ((1 - smoothing) * static_cast<double>(target[k]) + smoothing / static_cast<double>(p.size())) *
                std::log(p[k]);
    return loss;
}

TEST(MixTargets, TheLossIsThatOfBothClipsInTheirShares) {
    constexpr int64_t batch = 6, classes = 3;
    const auto draws = draws_of(everything, 77, 3, batch);
    const Guarded draw_bytes({batch, sizeof(ClipDraw)}, DType::U8);
    std::memcpy(static_cast<Tensor>(draw_bytes).data, draws.data(), draws.size() * sizeof(ClipDraw));
    const Guarded target = uniform({batch, classes}, 1, 0, 1), weight = uniform({batch}, 2, 0.2f, 4);
    for (int64_t n = 0; n < batch; ++n) { // class distributions
        const float sum = target[3 * n] + target[3 * n + 1] + target[3 * n + 2];
        for (int64_t k = 0; k < classes; ++k) target[3 * n + k] /= sum;
    }
    const Guarded mixed_target({batch, classes}), mixed_weight({batch});
    cpu().mix_targets(mixed_target, mixed_weight, target, weight, draw_bytes);
    const std::vector<double> p{0.7, 0.2, 0.1};
    int mixed = 0;
    for (int64_t n = 0; n < batch; ++n) {
        const ClipDraw& draw = draws[static_cast<size_t>(n)];
        const int64_t partner = draw.mix_partner;
        const double share = static_cast<double>(draw.mix_share);
        mixed += share < 1;
        for (const double smoothing : {0.0, 0.1}) {
            const double expected =
                share * static_cast<double>(weight[n]) * loss_of(&target[3 * n], p, smoothing) +
                (1 - share) * static_cast<double>(weight[partner]) * loss_of(&target[3 * partner], p, smoothing);
            EXPECT_NEAR(static_cast<double>(mixed_weight[n]) * loss_of(&mixed_target[3 * n], p, smoothing), expected,
                        1e-6 * expected);
        }
        if (share == 1) {
            EXPECT_EQ(mixed_weight[n], weight[n]);
            EXPECT_EQ(mixed_target[3 * n], target[3 * n]);
        }
    }
    EXPECT_TRUE(mixed > 0 && mixed < batch);
}

TEST(MixTargets, ClipsWithoutWeightKeepADistribution) {
    const auto draws = draws_of({.mixup_probability = 1, .mixup_alpha = 1}, 1, 1, 2);
    const Guarded draw_bytes({2, sizeof(ClipDraw)}, DType::U8), mixed_target({2, 2}), mixed_weight({2});
    std::memcpy(static_cast<Tensor>(draw_bytes).data, draws.data(), draws.size() * sizeof(ClipDraw));
    const Guarded target = filled({2, 2}, {1, 0, 0, 1}), weight = filled({2}, {0, 0});
    cpu().mix_targets(mixed_target, mixed_weight, target, weight, draw_bytes);
    EXPECT_EQ(mixed_weight[0], 0);
    EXPECT_EQ(mixed_target[0], draws[0].mix_share);
    EXPECT_EQ(mixed_target[0] + mixed_target[1], 1);
    EXPECT_THROW(cpu().mix_targets(target, mixed_weight, target, weight, draw_bytes), std::logic_error);
}

} // namespace
} // namespace scene::test
