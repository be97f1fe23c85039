// Log-mel against librosa's numbers on synthesised signals and against a DFT written out as a sum, in double.
// Real clips are in tests/data/log_mel_clips_test.cpp.

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include <gtest/gtest.h>

#include "kernels/backend.h"
#include "kernels/mel_filter_bank.h"
#include "kernels/safetensors.h"
#include "tests/support/noise.h"
#include "tests/support/tensors.h"

namespace scene {
namespace {

using test::all_close;
using test::Guarded;
using test::noise;

/// At most 1e-3 dB from librosa is what the project promises.
constexpr double promised_db = 1e-3;

/// The signals of tools/reference/make_logmel_goldens.py, rounded to 16 bits so that both are exactly equal.
Guarded signal(const std::string& kind, int samples) {
    std::vector<double> wave = noise(samples);
    for (int i = 0; i < samples; ++i) {
        double& x = wave[static_cast<size_t>(i)];
        const double t = i / 44100.0;
        if (kind == "chirp") x = 0.4 * std::sin(2 * std::numbers::pi * (100 * t + 4000 * t * t)) + 0.05 * x;
        if (kind == "tone") x = 0.9 * std::sin(2 * std::numbers::pi * 110 * t);
        if (kind == "gap" && i >= samples / 3) x *= i < samples / 3 * 2 ? 0 : 0.001;
    }
    Guarded rounded({1, samples});
    for (int i = 0; i < samples; ++i)
        rounded[i] = static_cast<float>(std::nearbyint(32768 * wave[static_cast<size_t>(i)]) / 32768);
    return rounded;
}

Guarded log_mel(const Guarded& wave, const LogMelSpec& spec, Backend& backend = test::cpu()) {
    Guarded out({wave.shape()[0], spec.frames, spec.bands});
    backend.log_mel(out, wave, spec);
    return out;
}

TEST(LogMel, EqualsLibrosa) {
    struct Case {
        const char* name;
        const char* signal;
        LogMelSpec spec;
    };
    const Case cases[] = {
        {"chirp", "chirp", {.frames = 70, .samples = 66150}},
        {"tone", "tone", {.frames = 57, .samples = 50021}},
        {"gap", "gap", {.frames = 49, .samples = 42337}},
        {"short", "chirp", {.frames = 2, .samples = 900}},
        {"small_fft",
         "chirp",
         {.sample_rate = 32000,
          .n_fft = 1024,
          .window = 1024,
          .hop = 320,
          .bands = 40,
          .low_hz = 0,
          .top_db = 60,
          .frames = 60,
          .samples = 20000}},
        {"large_fft",
         "chirp",
         {.sample_rate = 48000,
          .n_fft = 4096,
          .window = 3001,
          .hop = 1747,
          .bands = 128,
          .low_hz = 20,
          .frames = 24,
          .samples = 44100}},
    };
    const SafetensorsFile goldens("tests/goldens/logmel.safetensors");
    for (const Case& c : cases) {
        const Guarded actual = log_mel(signal(c.signal, c.spec.samples), c.spec);
        EXPECT_TRUE(all_close(actual.floats(), goldens.tensor(std::string("signal.") + c.name).as<float>(),
                              {.absolute = promised_db}, c.name));
    }
}

/// The equations of kernels/log_mel_spec.h, literally.
std::vector<double> reference_log_mel(std::span<const float> wave, const LogMelSpec& spec) {
    const MelFilterBank bank = mel_filter_bank(spec);
    const int n = spec.n_fft;
    std::vector<std::complex<double>> roots;
    for (int i = 0; i < n; ++i) roots.push_back(std::polar(1.0, -2 * std::numbers::pi * i / n));
    std::vector<double> out;
    double peak = -1000;
    for (int frame = 0; frame <= spec.samples / spec.hop; ++frame) {
        std::vector<double> windowed(static_cast<size_t>(n), 0.0);
        for (int i = 0; i < spec.window; ++i) {
            const int position = (n - spec.window) / 2 + i, sample = frame * spec.hop + position - n / 2;
            if (sample >= 0 && sample < spec.samples)
                windowed[static_cast<size_t>(position)] =
                    wave[static_cast<size_t>(sample)] * (0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / spec.window));
        }
        std::vector<double> magnitude;
        for (int k = 0; k <= n / 2; ++k) {
            std::complex<double> sum = 0;
            for (int i = 0; i < n; ++i)
                sum += windowed[static_cast<size_t>(i)] * roots[static_cast<size_t>(int64_t{i} * k % n)];
            magnitude.push_back(std::abs(sum));
        }
        for (size_t band = 0; band < static_cast<size_t>(spec.bands); ++band) {
            double sum = 0;
            for (int32_t i = bank.offset[band]; i < bank.offset[band + 1]; ++i)
                sum += bank.weights[static_cast<size_t>(i)] *
                       magnitude[static_cast<size_t>(bank.first_bin[band] + i - bank.offset[band])];
            const double decibels = 10 * std::log10(std::max(sum, 1e-10));
            peak = std::max(peak, decibels);
            if (frame < spec.frames) out.push_back(decibels);
        }
    }
    for (double& value : out) value = std::max(value, peak - spec.top_db);
    return out;
}

TEST(LogMel, EveryFftSizeAgainstTheWrittenOutSum) {
    for (int n_fft = 32; n_fft <= 8192; n_fft *= 2) {
        LogMelSpec spec{.n_fft = n_fft, .window = n_fft * 7 / 8 - 1, .hop = n_fft * 3 / 7, .bands = 10, .top_db = 70};
        spec.frames = n_fft > 2048 ? 3 : 18;
        spec.samples = spec.frames * spec.hop + spec.hop / 2;
        const Guarded wave = signal("chirp", spec.samples);
        // Powers and sums of up to 1,000 magnitudes are rounded to float: 4.3 dB * 2^-24 each, and the dB themselves.
        EXPECT_TRUE(all_close(log_mel(wave, spec).floats(),
                              std::span<const double>(reference_log_mel(wave.floats(), spec)), {.absolute = 5e-5},
                              "n_fft " + std::to_string(n_fft)));
    }
}

/// Float would not do: the tone is 90 dB above the noise, further than float's rounding noise is below the tone.
TEST(LogMel, QuietBandsBesideALoudTone) {
    const LogMelSpec spec{.n_fft = 512, .window = 512, .hop = 256, .bands = 20, .frames = 10, .samples = 2400};
    Guarded wave({1, spec.samples});
    const std::vector<double> quiet = noise(spec.samples);
    for (int i = 0; i < spec.samples; ++i) // a tone of exactly 8 periods per frame leaks nowhere but to the clip's ends
        wave[i] =
            static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * i / 64) + 2e-7 * quiet[static_cast<size_t>(i)]);
    EXPECT_TRUE(all_close(log_mel(wave, spec).floats(), std::span<const double>(reference_log_mel(wave.floats(), spec)),
                          {.absolute = promised_db}));
}

TEST(LogMel, TheFloorIsUnderThePeakOfAllFrames) {
    // The loudest sound may come after the frames that are kept, up to the very last, and still sets their floor.
    for (const int32_t frames : {20, 70}) {
        const LogMelSpec spec{
            .n_fft = 256, .window = 256, .hop = 128, .bands = 10, .frames = 5, .samples = frames * 128};
        for (int32_t loudest = 7; loudest < frames; loudest += 4) {
            Guarded wave({1, spec.samples});
            std::fill(wave.floats().begin(), wave.floats().end(), 0.0f);
            wave[100] = 1e-9f;
            wave[loudest * 128] = 30.0f;
            const Guarded actual = log_mel(wave, spec);
            const std::vector<double> expected = reference_log_mel(wave.floats(), spec);
            EXPECT_TRUE(test::close(actual, expected, {.absolute = promised_db}, "floor")) << loudest;
            EXPECT_EQ(actual[0], actual[spec.bands * 4]) << loudest;
            EXPECT_GT(actual[0], -99) << loudest; // the level of silence is -100
        }
    }
}

TEST(LogMel, SilenceIsMinus100Decibels) {
    const LogMelSpec spec{.frames = 3, .samples = 3000};
    Guarded wave({1, spec.samples});
    std::fill(wave.floats().begin(), wave.floats().end(), 0.0f);
    const Guarded out = log_mel(wave, spec);
    for (float value : out.floats()) ASSERT_FLOAT_EQ(value, -100);
}

TEST(LogMel, NotANumberStaysVisible) {
    const LogMelSpec spec{.frames = 30, .samples = 30000};
    Guarded wave = signal("chirp", spec.samples);
    wave[15000] = std::nanf("");
    const Guarded out = log_mel(wave, spec);
    EXPECT_TRUE(std::isnan(out[17 * spec.bands])); // the frame centred on sample 14,994
}

TEST(LogMel, ClipsOfABatchAreIndependent) {
    const LogMelSpec spec{.frames = 33, .samples = 33 * 882};
    Guarded batch({3, spec.samples});
    std::vector<Guarded> alone;
    for (int clip = 0; clip < 3; ++clip) {
        const Guarded wave = signal(std::array{"tone", "gap", "chirp"}[static_cast<size_t>(clip)], spec.samples);
        std::copy(wave.floats().begin(), wave.floats().end(), batch.floats().begin() + clip * spec.samples);
        alone.push_back(log_mel(wave, spec));
    }
    const Guarded together = log_mel(batch, spec);
    const auto values = static_cast<size_t>(spec.frames * spec.bands);
    for (size_t clip = 0; clip < 3; ++clip)
        EXPECT_TRUE(all_close(together.floats().subspan(clip * values, values), alone[clip].floats(), {}));
}

TEST(LogMel, SameBitsOnEveryNumberOfThreads) {
    const LogMelSpec spec{.frames = 40, .samples = 40 * 882 + 11};
    const Guarded wave = signal("chirp", spec.samples);
    test::expect_same_bits([&](Backend& backend) { return std::vector{log_mel(wave, spec, backend)}; });
}

TEST(LogMel, WrongShapesAreRefused) {
    const LogMelSpec spec{.frames = 3, .samples = 3000};
    const Guarded out({1, 3, 64});
    EXPECT_THROW(test::cpu().log_mel(out, Guarded({1, 2999}), spec), std::logic_error);
    EXPECT_THROW(test::cpu().log_mel(Guarded({1, 3, 63}), Guarded({1, 3000}), spec), std::logic_error);
    LogMelSpec more_frames_than_there_are = spec;
    more_frames_than_there_are.frames = 5;
    EXPECT_THROW(log_mel(signal("chirp", 3000), more_frames_than_there_are), std::logic_error);
    LogMelSpec odd_fft = spec;
    odd_fft.n_fft = 2000;
    EXPECT_THROW(log_mel(signal("chirp", 3000), odd_fft), std::logic_error);
}

} // namespace
} // namespace scene
