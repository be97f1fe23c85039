#include <algorithm>
#include <cmath>

#include "tests/support/clip_draws.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

struct Case {
    const char* name;
    Augmentation settings;
};

const std::vector<Case> cases{
    {"roll", {.roll = 100}},
    {"gain", {.gain = 6}},
    {"style", {.style_probability = 1, .style_alpha = 0.3f}},
    {"frequency masks", {.frequency_masks = 2, .frequency_mask = 3}},
    {"time masks", {.time_masks = 4, .time_mask = 9}},
    {"mixup", {.mixup_probability = 1, .mixup_alpha = 0.4f}},
    {"without moments", {.roll = 9, .gain = 5, .mixup_probability = 0.5f, .mixup_alpha = 1}},
    {"everything", everything},
};

AugmentFeatures<HostArray> augmented(const HostArray& x, const Augmentation& settings, uint32_t step) {
    AugmentFeatures<HostArray> op{
        .y = empty(x.shape), .x = x, .draws = draws_for(settings, x.shape, {.seed = 77, .step = step})};
    if (settings.needs_moments()) {
        const int64_t clips = x.shape[0], bands = x.shape[2];
        const auto moments = run_reference(BandMoments<HostArray>{
            .mean = empty({clips, bands}), .deviation = empty({clips, bands}), .clip_mean = empty({clips}), .x = x});
        op.mean = moments.mean, op.deviation = moments.deviation, op.clip_mean = moments.clip_mean;
    }
    return op;
}

TEST(AugmentFeatures, EachPartAndAllTogetherEqualTheReference) {
    for (const Shape& shape : {Shape{5, 23, 7}, Shape{1, 9, 16}, Shape{16, 31, 1}, Shape{3, 40, 33}})
        for (const Case& c : cases)
            for (uint32_t step = 0; step < 2; ++step)
                expect_like_reference(augmented(uniform_f32(shape, 11 + step, -80, 0), c.settings, step),
                                      std::string(c.name) + " " + shape.text());
}

/// A silent band has variance 0: its deviation is sqrt(1e-6), from the term that band_moments adds.
TEST(AugmentFeatures, ASilentBandEqualsTheReference) {
    for (uint32_t step = 0; step < 3; ++step) {
        HostArray x = uniform_f32({3, 37, 7}, step, -80, 0);
        for (int64_t t = 0; t < 37; ++t) x[t * 7] = -80;
        expect_like_reference(augmented(x, everything, step));
    }
}

/// The steps one after another, each over the whole batch and with its own moments.
std::vector<double> step_by_step(const HostArray& x, const std::vector<ClipDraw>& draws) {
    const int64_t batch = x.shape[0], frames = x.shape[1], bands = x.shape[2], size = frames * bands;
    const auto at = [&](int64_t n, int64_t t, int64_t f) { return static_cast<size_t>((n * frames + t) * bands + f); };
    std::vector<double> moved(static_cast<size_t>(batch * size)), styled, masked, mixed;
    for (int64_t n = 0; n < batch; ++n)
        for (int64_t t = 0; t < frames; ++t)
            for (int64_t f = 0; f < bands; ++f)
                moved[at(n, (t + draws[n].roll) % frames, f)] =
                    x[(n * frames + t) * bands + f] + static_cast<double>(draws[n].gain);
    const auto moments = [&](int64_t n, int64_t f) {
        double mean = 0, variance = 0;
        for (int64_t t = 0; t < frames; ++t) mean += moved[at(n, t, f)] / static_cast<double>(frames);
        for (int64_t t = 0; t < frames; ++t)
            variance += std::pow(moved[at(n, t, f)] - mean, 2) / static_cast<double>(frames);
        return std::pair(mean, std::sqrt(variance + 1e-6));
    };
    styled = moved;
    for (int64_t n = 0; n < batch; ++n) {
        const double share = static_cast<double>(draws[n].style_share);
        for (int64_t f = 0; f < bands; ++f) {
            const auto [mean, deviation] = moments(n, f);
            const auto [other_mean, other_deviation] = moments(draws[n].style_partner, f);
            for (int64_t t = 0; t < frames; ++t)
                styled[at(n, t, f)] =
                    (moved[at(n, t, f)] - mean) / deviation * (share * deviation + (1 - share) * other_deviation) +
                    share * mean + (1 - share) * other_mean;
        }
    }
    masked = styled;
    for (int64_t n = 0; n < batch; ++n) {
        double mean = 0;
        for (size_t i = at(n, 0, 0); i < at(n + 1, 0, 0); ++i) mean += styled[i] / static_cast<double>(size);
        for (const Mask& mask : draws[n].frequency)
            for (int64_t f = mask.first; f < mask.first + mask.count; ++f)
                for (int64_t t = 0; t < frames; ++t) masked[at(n, t, f)] = mean;
        for (const Mask& mask : draws[n].time)
            for (int64_t t = mask.first; t < mask.first + mask.count; ++t)
                for (int64_t f = 0; f < bands; ++f) masked[at(n, t, f)] = mean;
    }
    mixed = masked;
    for (int64_t n = 0; n < batch; ++n) {
        const double share = static_cast<double>(draws[n].mix_share);
        for (int64_t i = 0; i < size; ++i)
            mixed[static_cast<size_t>(n * size + i)] =
                share * masked[static_cast<size_t>(n * size + i)] +
                (1 - share) * masked[static_cast<size_t>(draws[n].mix_partner * size + i)];
    }
    return mixed;
}

TEST(AugmentFeatures, ReferenceIsTheStepsOneAfterAnother) {
    for (const Shape& shape : {Shape{5, 23, 7}, Shape{1, 9, 16}, Shape{16, 31, 1}})
        for (const Case& c : cases)
            for (uint32_t step = 0; step < 3; ++step) {
                const auto op = augmented(uniform_f32(shape, 11 + step, -80, 0), c.settings, step);
                EXPECT_TRUE(near_all(run_reference(op).y, step_by_step(op.x, draws_in(op.draws)), 1e-12))
                    << c.name << " " << shape.text();
            }
}

TEST(AugmentFeatures, MovedOrUntouchedValuesKeepTheirBits) {
    const HostArray x = uniform_f32({4, 20, 6}, 3, -80, 0);
    on_each_device(augmented(x, {.roll = 20}, 1), [&](const AugmentFeatures<HostArray>& after) {
        EXPECT_NE(after.y.values, x.values);
        for (int64_t n = 0; n < 4; ++n) {
            const auto sorted = [&](const HostArray& array) {
                std::vector<double> clip(array.values.begin() + n * 120, array.values.begin() + n * 120 + 120);
                std::sort(clip.begin(), clip.end());
                return clip;
            };
            EXPECT_EQ(sorted(after.y), sorted(x));
        }
    });
    // Freq-MixStyle is on, but its probability is too small for this batch to draw it.
    on_each_device(augmented(x, {.style_probability = 1e-9f, .style_alpha = 1}, 1),
                   [&](const AugmentFeatures<HostArray>& after) { EXPECT_EQ(after.y.values, x.values); });
}

TEST(AugmentFeatures, SilenceStaysFinite) {
    const HostArray silence = with_values({3, 12, 4}, std::vector<double>(144, -100.0));
    on_each_device(augmented(silence, everything, 4), [](const AugmentFeatures<HostArray>& after) {
        for (const double value : after.y.values) EXPECT_NEAR(value, -100, 3.001) << "but for the gain";
    });
}

TEST(AugmentFeatures, SameBits) { expect_same_bits(augmented(uniform_f32({9, 70, 33}, 3, -80, 0), everything, 2)); }

TEST(AugmentFeatures, WrongOperandsAreRefused) {
    const AugmentFeatures<HostArray> good = augmented(uniform_f32({2, 8, 4}, 1), everything, 0);
    const auto refused_with = [&](auto change) {
        AugmentFeatures<HostArray> op = good;
        change(op);
        expect_refused(op);
    };
    expect_like_reference(good);
    refused_with([](auto& op) { op.x = at_place(op.x, "here"), op.y = at_place(op.y, "here"); });
    refused_with([](auto& op) { op.y = empty({8, 8}); });
    refused_with([](auto& op) { op.draws = empty({2, 8}, DType::U8); });
    refused_with([](auto& op) { op.draws = op.mean; });
    refused_with([](auto& op) { op.deviation = HostArray(); });
    refused_with([](auto& op) { op.mean = uniform_f32({2, 5}, 1); });
    AugmentFeatures<HostArray> op = good;
    op.mean = op.deviation = op.clip_mean = HostArray();
    expect_values_refused(op); // the draws have masks and mix statistics
}

} // namespace
} // namespace scene::test
