#include "kernels/log_mel/mel_filter_bank.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kernels/files/safetensors.h"
#include "tests/support/compare.h"

namespace scene {
namespace {

constexpr size_t bins = 1025;

/// The dense matrix [64, 1025]; a weight stored twice would count twice.
std::vector<double> dense(std::span<const int32_t> first_bin, std::span<const int32_t> count,
                          std::span<const double> weights) {
    std::vector<double> rows(first_bin.size() * bins, 0.0);
    size_t next = 0;
    for (size_t band = 0; band < first_bin.size(); ++band)
        for (int32_t i = 0; i < count[band]; ++i)
            rows.at(band * bins + static_cast<size_t>(first_bin[band] + i)) += weights[next++];
    return rows;
}

std::vector<int32_t> counts_of(const MelFilterBank& bank) {
    std::vector<int32_t> counts;
    for (size_t band = 0; band + 1 < bank.offset.size(); ++band)
        counts.push_back(bank.offset[band + 1] - bank.offset[band]);
    return counts;
}

TEST(MelFilterBank, EqualsLibrosa) {
    const SafetensorsFile goldens("tests/goldens/logmel.safetensors");
    const std::vector<double> expected =
        dense(goldens.tensor("filters.first_bin").as<int32_t>(), goldens.tensor("filters.count").as<int32_t>(),
              goldens.tensor("filters.weights").as<double>());
    const MelFilterBank bank = mel_filter_bank(LogMelSpec{});
    const std::vector<double> actual = dense(bank.first_bin, counts_of(bank), bank.weights);
    // Frequencies of up to 22050 Hz with rounding errors of 1e-16, in differences of 60 Hz.
    EXPECT_TRUE(test::all_close(std::span(actual), std::span(expected), {.of_largest = 1e-12}));
}

TEST(MelFilterBank, BandsHaveAreaOne) {
    // A finer FFT makes the sum over bins the integral over Hz.
    LogMelSpec spec;
    spec.n_fft = 1 << 20;
    const MelFilterBank bank = mel_filter_bank(spec);
    const double bin_hz = static_cast<double>(spec.sample_rate) / spec.n_fft;
    for (size_t band = 0; band < 64; ++band) {
        double area = 0;
        for (int32_t i = bank.offset[band]; i < bank.offset[band + 1]; ++i)
            area += bin_hz * bank.weights[static_cast<size_t>(i)];
        EXPECT_NEAR(area, 1, 1e-4) << "band " << band;
    }
}

TEST(MelFilterBank, BandsBetweenTwoBinsAreEmpty) {
    LogMelSpec spec;
    spec.n_fft = 64; // a bin every 689 Hz, the lowest bands 61 Hz apart
    const MelFilterBank bank = mel_filter_bank(spec);
    ASSERT_EQ(bank.offset.size(), 65u);
    EXPECT_EQ(bank.offset[1], 0);
    EXPECT_GT(bank.offset[64], 0);
    for (size_t band = 0; band < 64; ++band)
        EXPECT_LE(bank.first_bin[band] + bank.offset[band + 1] - bank.offset[band], 33);
}

TEST(MelFilterBank, RefusesImpossibleSpecs) {
    LogMelSpec spec;
    spec.low_hz = 22050;
    EXPECT_THROW(mel_filter_bank(spec), std::logic_error);
}

} // namespace
} // namespace scene
