// Log-mel against librosa's values for synthesised signals, and against the reference, whose DFT is a plain sum. Real
// clips are in tests/data/log_mel_clips_test.cpp.

#include <cmath>
#include <numbers>

#include "kernels/files/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/noise.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

/// The project promises at most 1e-3 dB of difference from librosa.
constexpr double promised_db = 1e-3;

/// The signals of tools/reference/make_logmel_goldens.py, rounded to 16 bits so that they are the same to the bit.
std::vector<double> signal(const std::string& kind, int samples) {
    std::vector<double> wave = noise(samples);
    for (int i = 0; i < samples; ++i) {
        double& x = wave[static_cast<size_t>(i)];
        const double t = i / 44100.0;
        if (kind == "chirp") x = 0.4 * std::sin(2 * std::numbers::pi * (100 * t + 4000 * t * t)) + 0.05 * x;
        if (kind == "tone") x = 0.9 * std::sin(2 * std::numbers::pi * 110 * t);
        if (kind == "gap" && i >= samples / 3) x *= i < samples / 3 * 2 ? 0 : 0.001;
        x = std::nearbyint(32768 * x) / 32768;
    }
    return wave;
}

LogMel<HostArray> log_mel_of(const HostArray& wave, const LogMelSpec& spec) {
    return {.out = empty({wave.shape[0], spec.frames, spec.bands}), .wave = wave, .spec = spec};
}

/// The log-mel of one clip.
LogMel<HostArray> log_mel_of(const std::vector<double>& wave, const LogMelSpec& spec) {
    return log_mel_of(with_values({1, spec.samples}, wave), spec);
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
    TestDevice& device = *devices().front(); // the op knows no activation type
    for (const Case& c : cases) {
        const LogMel<HostArray> after =
            run_on(device, DType::F32, log_mel_of(signal(c.signal, c.spec.samples), c.spec));
        EXPECT_TRUE(all_close(std::span(after.out.values), goldens.tensor(std::string("signal.") + c.name).as<float>(),
                              {.absolute = promised_db}, c.name));
    }
}

/// FFT lengths whose last pass is of radix 2 or of radix 4 on each device, and a last chunk of frames that is not full.
TEST(LogMel, EveryFftSizeEqualsTheReference) {
    for (int n_fft = 32; n_fft <= 8192; n_fft *= 2) {
        LogMelSpec spec{.n_fft = n_fft, .window = n_fft * 7 / 8 - 1, .hop = n_fft * 3 / 7, .bands = 10, .top_db = 70};
        spec.frames = n_fft > 2048 ? 1 : n_fft > 256 ? 2 : 18;
        spec.samples = (spec.frames - 1) * spec.hop + spec.hop / 2;
        expect_like_reference(log_mel_of(signal("chirp", spec.samples), spec), "n_fft " + std::to_string(n_fft));
    }
}

/// Windows shorter than the FFT and as long; frames that are not kept; several clips; few bands.
TEST(LogMel, OtherSettingsEqualTheReference) {
    const LogMelSpec papers{.frames = 3, .samples = 2 * 882 + 13};
    expect_like_reference(log_mel_of(uniform_f32({2, papers.samples}, 1), papers), "the paper's");
    for (const int n_fft : {32, 64, 128, 256}) {
        const LogMelSpec spec{.sample_rate = 16000,
                              .n_fft = n_fft,
                              .window = n_fft - n_fft / 8,
                              .hop = n_fft / 3,
                              .bands = n_fft < 128 ? 3 : 20,
                              .low_hz = 100,
                              .frames = 7,
                              .samples = n_fft * 3 + 5};
        expect_like_reference(log_mel_of(uniform_f32({3, spec.samples}, 2), spec), "n_fft " + std::to_string(n_fft));
    }
    const LogMelSpec whole_window{.sample_rate = 8000,
                                  .n_fft = 256,
                                  .window = 256,
                                  .hop = 100,
                                  .bands = 16,
                                  .low_hz = 0,
                                  .frames = 8,
                                  .samples = 700};
    expect_like_reference(log_mel_of(uniform_f32({1, 700}, 3), whole_window));
}

/// An FFT in float would fail: the noise is 90 dB below the tone, further than the rounding noise of float.
TEST(LogMel, QuietBandsBesideALoudTone) {
    const LogMelSpec spec{.n_fft = 512, .window = 512, .hop = 256, .bands = 20, .frames = 10, .samples = 2400};
    std::vector<double> wave = noise(spec.samples);
    for (int i = 0; i < spec.samples; ++i) // a tone of exactly 8 periods per frame leaks only at the clip's ends
        wave[static_cast<size_t>(i)] =
            0.5 * std::sin(2 * std::numbers::pi * i / 64) + 2e-7 * wave[static_cast<size_t>(i)];
    expect_like_reference(log_mel_of(wave, spec));
}

/// A tone between silence: most bands are far below their frame's peak, most frames far below the clip's. The second
/// clip is silent.
TEST(LogMel, ToneAndSilence) {
    const LogMelSpec spec{
        .sample_rate = 16000, .n_fft = 512, .window = 400, .hop = 200, .bands = 24, .frames = 13, .samples = 2600};
    HostArray wave = with_values({2, spec.samples}, std::vector<double>(static_cast<size_t>(2 * spec.samples)));
    for (int i = 900; i < 1700; ++i) wave[i] = std::sin(2 * std::numbers::pi * 997 * i / 16000);
    expect_like_reference(log_mel_of(wave, spec));
}

/// The loudest sound sets the floor even if it comes after the frames that are kept, up to the very last frame.
TEST(LogMel, TheFloorIsUnderThePeakOfAllFrames) {
    for (const int32_t frames : {20, 70}) {
        const LogMelSpec spec{.n_fft = 64, .window = 64, .hop = 32, .bands = 10, .frames = 5, .samples = frames * 32};
        for (int32_t loudest = 7; loudest < frames; loudest += frames / 3) {
            std::vector<double> wave(static_cast<size_t>(spec.samples));
            wave[100] = 1e-9;
            wave[static_cast<size_t>(loudest * 32)] = 30;
            const LogMel<HostArray> op = log_mel_of(wave, spec);
            expect_like_reference(op, std::to_string(loudest));
            on_each_device(op, [&](const LogMel<HostArray>& after) {
                EXPECT_EQ(after.out[0], after.out[spec.bands * 4]) << loudest;
                EXPECT_GT(after.out[0], -99) << loudest; // the level of silence is -100
            });
        }
    }
}

TEST(LogMel, SilenceIsMinus100Decibels) {
    const LogMelSpec spec{.frames = 3, .samples = 3000};
    on_each_device(log_mel_of(std::vector<double>(3000), spec), [](const LogMel<HostArray>& after) {
        for (const double value : after.out.values) ASSERT_FLOAT_EQ(static_cast<float>(value), -100);
    });
}

TEST(LogMel, NotANumberStaysVisible) {
    const LogMelSpec spec{.n_fft = 256, .window = 256, .hop = 100, .bands = 8, .frames = 30, .samples = 3000};
    std::vector<double> wave = signal("chirp", spec.samples);
    wave[1500] = std::nan("");
    on_each_device(log_mel_of(wave, spec), [&](const LogMel<HostArray>& after) {
        EXPECT_TRUE(std::isnan(after.out[15 * spec.bands])); // the frame centred on that sample
    });
}

/// Magnitudes beyond the range of float become NaN, so that the clip is rejected and not trained on.
TEST(LogMel, WhatIsNotFiniteIsNotANumber) {
    const LogMelSpec spec{
        .sample_rate = 16000, .n_fft = 256, .window = 256, .hop = 128, .bands = 4, .frames = 3, .samples = 400};
    const HostArray wave = uniform_f32({1, spec.samples}, 4, -1.5e38, 1.5e38);
    on_each_device(log_mel_of(wave, spec), [](const LogMel<HostArray>& after) {
        for (const double value : after.out.values) EXPECT_TRUE(std::isnan(value)) << value;
    });
}

TEST(LogMel, ClipsOfABatchAreIndependent) {
    const LogMelSpec spec{.n_fft = 512, .window = 500, .hop = 220, .frames = 17, .samples = 17 * 220};
    HostArray batch = with_values({3, spec.samples}, std::vector<double>(static_cast<size_t>(3 * spec.samples)));
    std::vector<std::vector<double>> clips;
    for (const char* kind : {"tone", "gap", "chirp"}) {
        clips.push_back(signal(kind, spec.samples));
        std::copy(clips.back().begin(), clips.back().end(),
                  batch.values.begin() + static_cast<int64_t>(clips.size() - 1) * spec.samples);
    }
    for (TestDevice* device : devices()) {
        const LogMel<HostArray> together = run_on(*device, DType::F32, log_mel_of(batch, spec));
        std::vector<double> alone;
        for (const std::vector<double>& clip : clips) {
            const LogMel<HostArray> after = run_on(*device, DType::F32, log_mel_of(clip, spec));
            alone.insert(alone.end(), after.out.values.begin(), after.out.values.end());
        }
        EXPECT_EQ(together.out.values, alone) << device->name();
    }
}

TEST(LogMel, SameBits) {
    const LogMelSpec spec{.n_fft = 512, .window = 500, .hop = 220, .frames = 20, .samples = 20 * 220 + 11};
    expect_same_bits(log_mel_of(signal("chirp", spec.samples), spec));
}

TEST(LogMel, WrongOperandsAreRefused) {
    const LogMelSpec spec{.frames = 3, .samples = 3000};
    const HostArray wave = uniform_f32({1, 3000}, 1);
    expect_refused(log_mel_of(uniform_f32({1, 2999}, 1), spec));
    expect_refused(log_mel_of(uniform_f32({3000, 1}, 1), spec));
    LogMel<HostArray> op = log_mel_of(wave, spec);
    op.out = empty({1, 3, 63});
    expect_refused(op);
    op = log_mel_of(wave, spec);
    op.spec.frames = 5; // more than there are
    op.out = empty({1, 5, 64});
    expect_refused(op);
    op = log_mel_of(wave, spec);
    op.spec.n_fft = 2000;
    expect_refused(op);
    op = log_mel_of(wave, spec);
    op.spec.n_fft = 16384;
    expect_refused(op);
}

} // namespace
} // namespace scene::test
