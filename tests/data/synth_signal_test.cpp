#include "data/synth/synth_signal.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "tests/support/compare.h"

namespace scene {
namespace {

constexpr double pi = std::numbers::pi;

/// Gain of the filter at `hz`, measured with a sine after it has settled.
double gain_at(std::span<const Biquad> sections, double hz) {
    std::vector<float> wave(synth_rate);
    for (size_t i = 0; i < wave.size(); ++i)
        wave[i] = static_cast<float>(std::sin(2 * pi * hz * static_cast<double>(i) / synth_rate));
    filter(wave, sections);
    return std::sqrt(2.0) * static_cast<double>(root_mean_square(std::span<const float>(wave).subspan(synth_rate / 2)));
}

double decibels(double gain) { return 20 * std::log10(gain); }

TEST(SynthSignal, FiltersHaveTheGainsTheyAreNamedFor) {
    const auto at = [](const Biquad& section, double hz) { return decibels(gain_at({&section, 1}, hz)); };
    EXPECT_NEAR(at(Biquad::low_pass(1000), 1000), -3.01, 0.05);
    EXPECT_NEAR(at(Biquad::low_pass(1000), 50), 0, 0.05);
    EXPECT_LT(at(Biquad::low_pass(1000), 8000), -35);
    EXPECT_NEAR(at(Biquad::high_pass(1000), 1000), -3.01, 0.05);
    EXPECT_LT(at(Biquad::high_pass(1000), 100), -35);
    EXPECT_NEAR(at(Biquad::band_pass(1000, 5), 1000), 0, 0.05);
    EXPECT_LT(at(Biquad::band_pass(1000, 5), 200), -20);
    EXPECT_NEAR(at(Biquad::peak(1000, 1, 6), 1000), 6, 0.05);
    EXPECT_NEAR(at(Biquad::peak(1000, 1, 6), 50), 0, 0.1);
    EXPECT_NEAR(at(Biquad::low_shelf(1000, 6), 50), 6, 0.1);
    EXPECT_NEAR(at(Biquad::low_shelf(1000, 6), 15000), 0, 0.1);
    EXPECT_NEAR(at(Biquad::high_shelf(1000, -6), 15000), -6, 0.1);
    EXPECT_NEAR(at(Biquad::high_shelf(1000, -6), 50), 0, 0.1);
}

TEST(SynthSignal, CascadesMultiplyAndParallelSectionsAdd) {
    const std::vector<Biquad> sections = {Biquad::peak(500, 1, 3), Biquad::peak(500, 1, 4), Biquad::peak(500, 1, -2),
                                          Biquad::peak(500, 1, 1), Biquad::peak(500, 1, 2), Biquad::peak(500, 1, -1)};
    double total = 0;
    const double each[] = {3, 4, -2, 1, 2, -1};
    for (size_t count = 1; count <= 6; ++count) {
        total += each[count - 1];
        EXPECT_NEAR(decibels(gain_at(std::span(sections).first(count), 500)), total, 0.05);
    }
    std::vector<float> wave(synth_rate);
    for (size_t i = 0; i < wave.size(); ++i)
        wave[i] = static_cast<float>(std::sin(2 * pi * 700 * static_cast<double>(i) / synth_rate));
    const std::vector<Biquad> bands = {Biquad::band_pass(700, 3), Biquad::band_pass(700, 9)};
    filter_parallel(wave, bands, std::vector<float>{0.5f, 0.25f});
    EXPECT_NEAR(root_mean_square(std::span<const float>(wave).subspan(synth_rate / 2)) * std::sqrt(2.0), 0.75, 0.01);
}

TEST(SynthSignal, NoiseIsWhiteUniformAndNew) {
    RandomSequence random(1, 2);
    std::vector<float> one(100001), two(100001);
    fill_noise(one, random);
    fill_noise(two, random);
    double mean = 0, neighbours = 0, other = 0;
    for (size_t i = 0; i + 1 < one.size(); ++i) {
        ASSERT_GE(one[i], -1);
        ASSERT_LE(one[i], 1);
        mean += one[i];
        neighbours += one[i] * one[i + 1];
        other += one[i] * two[i];
    }
    EXPECT_NEAR(root_mean_square(one), 1 / std::sqrt(3.0), 0.005);
    EXPECT_NEAR(mean / 1e5, 0, 0.01);
    EXPECT_NEAR(neighbours / 1e5, 0, 0.01);
    EXPECT_NEAR(other / 1e5, 0, 0.01);
}

TEST(SynthSignal, OscillatorsFollowTheirContours) {
    RandomSequence random(3, 4);
    const WaveTable sine(std::vector<float>{1}, random);
    std::vector<float> wave(synth_rate);
    Contour loudness(wave.size(), 0.5f);
    sine.add(wave, Contour(wave.size(), 441), loudness);
    EXPECT_NEAR(root_mean_square(wave), 0.5 / std::sqrt(2.0), 1e-3);
    std::vector<float> period(wave.begin() + 1000, wave.begin() + 1100),
        later(wave.begin() + 11000, wave.begin() + 11100);
    EXPECT_TRUE(test::all_close(std::span<const float>(later), std::span<const float>(period), {.absolute = 2e-3}));
    for (size_t i = 0; i < loudness.size(); ++i) loudness[i] = i < 50 ? 1.0f : 0.0f;
    std::fill(wave.begin(), wave.end(), 1.0f);
    modulate(wave, loudness);
    EXPECT_EQ(wave[10], 1);
    EXPECT_NEAR(wave[49 * Contour::step + Contour::step / 2], 0.5, 0.01);
    EXPECT_EQ(wave[60 * Contour::step], 0);
}

TEST(SynthSignal, DecayingTonesAndChirpsAreWhatTheirFormulasSay) {
    std::vector<float> wave(20000), expected(20000);
    const std::vector<Partial> partials = {{440, 1, 0.05f}, {997, 0.5f, 0.1f}};
    add_decaying(wave, 100, partials, 2);
    for (size_t i = 100; i < wave.size(); ++i) {
        const double t = static_cast<double>(i - 100 + 1) / synth_rate;
        for (const Partial& p : partials)
            if (i - 100 < static_cast<size_t>(6 * p.decay_seconds * synth_rate))
                expected[i] +=
                    static_cast<float>(2 * p.weight * std::exp(-t / p.decay_seconds) * std::sin(2 * pi * p.hz * t));
    }
    EXPECT_TRUE(test::all_close(std::span<const float>(wave), std::span<const float>(expected), {.absolute = 2e-3}));

    std::fill(wave.begin(), wave.end(), 0.0f);
    add_chirp(wave, 50, 1000, 2000, 0.1f, 1);
    std::fill(expected.begin(), expected.end(), 0.0f);
    double phase = 0;
    for (size_t i = 0; i < 4410; ++i) {
        expected[50 + i] =
            static_cast<float>(0.5 * (1 - std::cos(2 * pi * static_cast<double>(i) / 4410)) * std::sin(phase));
        phase += 2 * pi * (1000 + 1000 * static_cast<double>(i) / 4410) / synth_rate;
    }
    EXPECT_TRUE(test::all_close(std::span<const float>(wave), std::span<const float>(expected), {.absolute = 5e-3}));
}

TEST(SynthSignal, EventsAtTheEndOfTheWaveAreCutOff) {
    RandomSequence random(1, 1);
    std::vector<float> wave(1000);
    for (const size_t at : {size_t{999}, size_t{500}}) {
        add_decaying(wave, at, std::vector<Partial>{{440, 1, 1}}, 1);
        add_chirp(wave, at, 100, 200, 1, 1);
        add_burst(wave, at, 500, 1, 1, 1, random);
    }
    add_chirp(wave, 5000, 100, 200, 1, 1);
    EXPECT_EQ(wave[499], 0);
    EXPECT_TRUE(std::isfinite(root_mean_square(wave)));
}

TEST(SynthSignal, EventTimesHaveTheirRate) {
    RandomSequence random(7, 7);
    constexpr size_t minute = 60 * synth_rate;
    EXPECT_NEAR(static_cast<double>(event_times(20 * minute, 2, 0, random).size()), 2400, 150);
    const std::vector<size_t> regular = event_times(minute, 2, 1, random);
    EXPECT_NEAR(static_cast<double>(regular.size()), 120, 1);
    for (size_t i = 1; i < regular.size(); ++i) EXPECT_NEAR(static_cast<double>(regular[i] - regular[i - 1]), 22050, 2);
    EXPECT_TRUE(std::is_sorted(regular.begin(), regular.end()));
}

TEST(SynthSignal, ReflectionsAreDelayedCopies) {
    const std::vector<float> impulse = {0, 1, 0, 0, 0};
    const std::vector<Tap> taps = {{2, 0.5f}, {1, -0.25f}, {9, 1}};
    EXPECT_EQ(reflected(impulse, taps), (std::vector<float>{0, 1, -0.25f, 0.5f, 0}));
}

} // namespace
} // namespace scene
