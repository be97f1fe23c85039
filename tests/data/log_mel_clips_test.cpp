// Decoding and log-mel together against librosa.load and librosa's log-mel on five ESC-10 clips (OGG, 44.1 kHz).

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "data/audio/audio.h"
#include "kernels/device.h"
#include "kernels/files/safetensors.h"
#include "tests/support/compare.h"
#include "tests/support/log_mel.h"
#include "tests/support/noise.h"

namespace scene {
namespace {

/// The project promises at most 1e-3 dB from librosa.
constexpr test::Tolerance promised{.absolute = 1e-3};

/// Every 25th frame of the log-mel of `wave`, as in the goldens.
std::vector<float> log_mel_rows(const std::vector<float>& wave) {
    constexpr int64_t stride = 25;
    LogMelSpec spec;
    spec.samples = static_cast<int32_t>(wave.size());
    spec.frames = 1 + spec.samples / spec.hop;
    const int64_t bands = spec.bands;
    std::vector<float> all(static_cast<size_t>(spec.frames * bands));
    test::log_mel_on(*make_cpu_device(2), all.data(), wave.data(), 1, spec);
    std::vector<float> kept;
    for (int64_t frame = 0; frame < spec.frames; frame += stride)
        kept.insert(kept.end(), all.begin() + frame * bands, all.begin() + (frame + 1) * bands);
    return kept;
}

/// Calls `check` with each golden whose name begins with `prefix` and its decoded clip; false without the clips.
template <typename Check> bool for_each_golden_clip(const std::string& prefix, Check check) {
    const char* shared = std::getenv("SCENE_SHARED");
    const std::filesystem::path folder = std::filesystem::path(shared ? shared : "../shared") / "data/esc10/audio";
    if (!std::filesystem::is_directory(folder)) return false;
    const SafetensorsFile goldens("tests/goldens/logmel.safetensors");
    int clips = 0;
    for (const SafetensorsEntry& golden : goldens.tensors()) {
        if (!golden.name.starts_with(prefix)) continue;
        check(golden, read_mono(folder / (golden.name.substr(prefix.size()) + ".ogg"), 44100));
        ++clips;
    }
    EXPECT_EQ(clips, 5);
    return true;
}

/// Builds of libvorbis differ by float rounding (about 1e-7), which moves values below -46 dB by up to 0.7 dB. Noise at
/// -65 dB of full scale masks that, so that every value can be compared.
TEST(LogMelOfClips, WithNoiseUnderThemEqualLibrosa) {
    constexpr double dither = 0x1p-9;
    const bool found = for_each_golden_clip("dithered.", [&](const SafetensorsEntry& golden, std::vector<float> wave) {
        const std::vector<double> noise = test::noise(static_cast<int64_t>(wave.size()));
        for (size_t i = 0; i < wave.size(); ++i) wave[i] += static_cast<float>(dither * noise[i]);
        const std::vector<float> actual = log_mel_rows(wave);
        EXPECT_TRUE(test::all_close(std::span(actual), golden.as<float>(), promised, golden.name));
    });
    if (!found) GTEST_SKIP() << "no ESC-10 audio in ../shared";
}

TEST(LogMelOfClips, AboveTheDecodersRoundingEqualLibrosa) {
    constexpr float lowest = -40;
    size_t compared = 0;
    const bool found =
        for_each_golden_clip("clip.", [&](const SafetensorsEntry& golden, const std::vector<float>& wave) {
            const std::vector<float> rows = log_mel_rows(wave);
            const std::span<const float> expected = golden.as<float>();
            ASSERT_EQ(rows.size(), expected.size()) << golden.name;
            std::vector<float> loud, loud_expected;
            for (size_t i = 0; i < rows.size(); ++i) {
                if (expected[i] < lowest) continue;
                loud.push_back(rows[i]);
                loud_expected.push_back(expected[i]);
            }
            EXPECT_TRUE(test::all_close(std::span(loud), std::span(loud_expected), promised, golden.name));
            compared += loud.size();
        });
    if (!found) GTEST_SKIP() << "no ESC-10 audio in ../shared";
    EXPECT_GT(compared, 1000u);
}

} // namespace
} // namespace scene
