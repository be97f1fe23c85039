// Decoding, resampling and bad files. Every file is built here, in a folder that is removed afterwards.

#include "data/audio.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <numbers>
#include <thread>

#include <gtest/gtest.h>
#include <sndfile.h>
#include <unistd.h>

#include "tests/support/compare.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

namespace fs = std::filesystem;
using test::all_close;
using test::fails_with;

class Audio : public testing::Test {
protected:
    fs::path at(const std::string& name) const { return folder_ / name; }

    /// Interleaved samples to a file of a libsndfile format.
    fs::path write(const std::string& name, int format, int rate, int channels,
                   const std::vector<float>& samples) const {
        SF_INFO info{};
        info.samplerate = rate;
        info.channels = channels;
        info.format = format;
        SNDFILE* sound = sf_open(at(name).c_str(), SFM_WRITE, &info);
        EXPECT_NE(sound, nullptr) << sf_strerror(nullptr);
        sf_command(sound, SFC_SET_CLIPPING, nullptr, SF_TRUE);
        const auto frames = static_cast<sf_count_t>(samples.size()) / channels;
        EXPECT_EQ(sf_writef_float(sound, samples.data(), frames), frames);
        EXPECT_EQ(sf_close(sound), 0);
        return at(name);
    }

    void write_bytes(const std::string& name, const std::string& bytes) const {
        std::ofstream(at(name), std::ios::binary) << bytes;
    }

    void keep_first_bytes(const fs::path& file, double share) const {
        fs::resize_file(file, static_cast<uintmax_t>(share * static_cast<double>(fs::file_size(file))));
    }

private:
    test::TemporaryFolder folder_;
};

constexpr double sine_level = 0.5;

std::vector<float> sine(double hz, int rate, int64_t samples) {
    std::vector<float> wave(static_cast<size_t>(samples));
    for (size_t i = 0; i < wave.size(); ++i)
        wave[i] = static_cast<float>(sine_level * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
    return wave;
}

testing::AssertionResult reading_fails_with(const fs::path& file, const std::string& what) {
    return fails_with([&] { read_mono(file, 44100); }, {file.filename().string(), what});
}

TEST_F(Audio, WavRoundTripIsExactOn16BitValues) {
    std::vector<float> wave;
    for (int value : {0, 1, -1, 1000, -32768, 32767, 12345, -20000}) wave.push_back(static_cast<float>(value) / 32768);
    write_wav(at("a.wav"), wave, 44100);
    EXPECT_EQ(read_mono(at("a.wav"), 44100), wave);
    const AudioInfo info = audio_info(at("a.wav"));
    EXPECT_EQ(info.sample_rate, 44100);
    EXPECT_EQ(info.channels, 1);
    EXPECT_EQ(info.frames, 8);
}

TEST_F(Audio, WavClipsBeyondFullScale) {
    write_wav(at("loud.wav"), std::vector<float>{1.5f, -1.5f, 1.0f}, 8000);
    EXPECT_EQ(read_mono(at("loud.wav"), 8000), (std::vector<float>{32767.0f / 32768, -1.0f, 32767.0f / 32768}));
}

TEST_F(Audio, WriteWavIntoMissingFolderNamesTheFile) {
    EXPECT_TRUE(
        fails_with([&] { write_wav(at("no/such/folder.wav"), std::vector<float>{0.0f}, 44100); }, {"folder.wav"}));
}

TEST_F(Audio, EveryContainerAndSampleFormat) {
    struct Case {
        const char* name;
        int format;
        double tolerance; ///< half a step of the sample format; Vorbis is lossy
    };
    const std::vector<float> wave = sine(440, 44100, 44100);
    for (const Case& c : {Case{"16.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 0x1p-15},
                          Case{"24.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 0x1p-22},
                          Case{"float.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
                          Case{"extensible.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 0x1p-15},
                          Case{"16.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 0x1p-15},
                          Case{"24.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 0x1p-22},
                          Case{"vorbis.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 0.02}}) {
        const std::vector<float> read = read_mono(write(c.name, c.format, 44100, 1, wave), 44100);
        EXPECT_TRUE(all_close(std::span(read), std::span(wave), {.absolute = c.tolerance}, c.name));
    }
}

TEST_F(Audio, ChannelsAreAveraged) {
    for (int channels : {2, 6}) {
        std::vector<float> interleaved, expected;
        for (int frame = 0; frame < 40000; ++frame) {
            float sum = 0;
            for (int channel = 0; channel < channels; ++channel) {
                const auto value = static_cast<float>((frame * 7 + channel * 101) % 2001 - 1000) / 2048;
                interleaved.push_back(value);
                sum += value;
            }
            expected.push_back(sum / static_cast<float>(channels));
        }
        const fs::path file =
            write(std::to_string(channels) + ".wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, channels, interleaved);
        EXPECT_EQ(read_mono(file, 44100), expected) << channels << " channels";
        EXPECT_EQ(audio_info(file).channels, channels);
    }
}

TEST_F(Audio, ResamplingKeepsFrequencyPhaseAndLevel) {
    constexpr double hz = 1000;
    for (int rate : {8000, 16000, 22050, 32000, 44100, 48000, 96000}) {
        const int64_t frames = rate / 2 + 13; // a length that is no multiple of the ratio
        const fs::path file =
            write(std::to_string(rate) + ".wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1, sine(hz, rate, frames));
        const std::vector<float> read = read_mono(file, 44100);
        ASSERT_EQ(static_cast<double>(read.size()), std::ceil(static_cast<double>(frames) * 44100 / rate)) << rate;
        const std::vector<float> expected = sine(hz, 44100, static_cast<int64_t>(read.size()));
        // The filter rings at both ends, where the sine starts and stops; in between 2e-4 is -68 dB of full scale.
        constexpr size_t edge = 2000;
        EXPECT_TRUE(all_close(std::span(read).subspan(edge, read.size() - 2 * edge),
                              std::span(expected).subspan(edge, read.size() - 2 * edge), {.absolute = 2e-4},
                              std::to_string(rate)));
    }
}

TEST_F(Audio, ResamplingRemovesWhatTheNewRateCannotHold) {
    const fs::path file = write("ultrasound.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 96000, 1, sine(30000, 96000, 48000));
    const std::vector<float> read = read_mono(file, 44100);
    for (size_t i = 2000; i + 2000 < read.size(); ++i) ASSERT_LT(std::abs(read[i]), 1e-4) << i;
}

TEST_F(Audio, ParallelDecodingGivesTheSameSamples) {
    std::vector<fs::path> files;
    std::vector<std::vector<float>> expected;
    const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                           SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    for (int i = 0; i < 12; ++i) {
        const int rate = i % 2 ? 22050 : 48000;
        files.push_back(write("parallel" + std::to_string(i), formats[i % 3], rate, 1, sine(200 + 50 * i, rate, 9000)));
        expected.push_back(read_mono(files.back(), 44100));
    }
    std::vector<std::vector<float>> actual(files.size());
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (size_t i = t; i < files.size(); i += 4) actual[i] = read_mono(files[i], 44100);
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(actual, expected);
}

TEST_F(Audio, FilesThatAreNoAudio) {
    EXPECT_TRUE(reading_fails_with(at("missing.wav"), "no such file"));
    fs::create_directories(at("folder.wav"));
    EXPECT_TRUE(reading_fails_with(at("folder.wav"), "folder"));
    write_bytes("empty.wav", "");
    EXPECT_TRUE(reading_fails_with(at("empty.wav"), "empty"));
    write_bytes("text.wav", "filename\tscene_label\naudio/airport-1.wav\tairport\n");
    EXPECT_TRUE(reading_fails_with(at("text.wav"), "not audio"));
    write_bytes("riff.wav", "RIFF");
    EXPECT_TRUE(reading_fails_with(at("riff.wav"), "not audio"));
    EXPECT_TRUE(fails_with([&] { audio_info(at("text.wav")); }, {"text.wav"}));
}

TEST_F(Audio, UnreadableFile) {
    write_wav(at("locked.wav"), std::vector<float>(10, 0.5f), 44100);
    fs::permissions(at("locked.wav"), fs::perms::none);
    fs::permissions(at(""), fs::perms::others_exec, fs::perm_options::add);
    // Permissions do not bind root, so the test gives root up for a moment.
    constexpr uid_t nobody = 65534;
    const uid_t user = geteuid();
    if (user == 0 && seteuid(nobody) != 0) GTEST_SKIP() << "cannot stop being root";
    EXPECT_TRUE(reading_fails_with(at("locked.wav"), "permissions"));
    ASSERT_EQ(seteuid(user), 0);
}

TEST_F(Audio, TruncatedFiles) {
    const std::vector<float> wave = sine(300, 44100, 60000);
    for (double share : {0.99, 0.5, 0.1}) {
        const fs::path wav = write("cut.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1, wave);
        keep_first_bytes(wav, share);
        EXPECT_TRUE(reading_fails_with(wav, "cut short"));
        const fs::path flac = write("cut.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 1, wave);
        keep_first_bytes(flac, share);
        EXPECT_TRUE(reading_fails_with(flac, "cut short"));
        const fs::path ogg = write("cut.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, wave);
        keep_first_bytes(ogg, share);
        EXPECT_TRUE(reading_fails_with(ogg, "cut short"));
    }
}

TEST_F(Audio, WavOfUnknownLengthReachesToTheEndOfTheFile) {
    write_wav(at("pipe.wav"), std::vector<float>(1000, 0.25f), 44100);
    std::fstream file(at("pipe.wav"), std::ios::in | std::ios::out | std::ios::binary);
    for (int offset : {4, 40}) file.seekp(offset).write("\xff\xff\xff\xff", 4);
    file.close();
    EXPECT_EQ(read_mono(at("pipe.wav"), 44100), std::vector<float>(1000, 0.25f));
}

TEST_F(Audio, DamagedFlacIsNoSilence) {
    const fs::path file = write("damaged.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 1, sine(300, 44100, 60000));
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2)).write(std::string(3000, '\x55').data(), 3000);
    bytes.close();
    EXPECT_TRUE(reading_fails_with(file, "damaged.flac"));
}

TEST_F(Audio, NoSamples) {
    EXPECT_TRUE(reading_fails_with(write("none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1, {}), "no samples"));
}

TEST_F(Audio, SamplesThatAreNoNumbers) {
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        std::vector<float> wave(500, 0.1f);
        wave[321] = bad;
        EXPECT_TRUE(
            reading_fails_with(write("bad.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 1, wave), "sample 321"));
    }
}

TEST_F(Audio, AbsurdRates) {
    for (int rate : {10, 999, 768001, 2000000000}) {
        const fs::path file = write("rate.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, rate, 1, {0.1f, 0.2f});
        EXPECT_TRUE(reading_fails_with(file, std::to_string(rate) + " Hz"));
    }
}

TEST_F(Audio, SilenceIsValidAndReported) {
    write_wav(at("silent.wav"), std::vector<float>(1000, 0.0f), 22050);
    const std::vector<float> wave = read_mono(at("silent.wav"), 44100);
    EXPECT_EQ(wave.size(), 2000u);
    EXPECT_TRUE(is_silent(wave));
    EXPECT_FALSE(is_silent(std::vector<float>{0, 0, 1.0f / 32768}));
    EXPECT_TRUE(is_silent({}));
}

TEST(FitLength, CropsLoopsAndPads) {
    const std::vector<float> wave{1, 2, 3};
    for (FitRule rule : {FitRule::Loop, FitRule::Zero}) {
        EXPECT_EQ(fit_length(wave, 2, rule), (std::vector<float>{1, 2}));
        EXPECT_EQ(fit_length(wave, 3, rule), wave);
    }
    EXPECT_EQ(fit_length(wave, 8, FitRule::Loop), (std::vector<float>{1, 2, 3, 1, 2, 3, 1, 2}));
    EXPECT_EQ(fit_length(wave, 5, FitRule::Zero), (std::vector<float>{1, 2, 3, 0, 0}));
    EXPECT_THROW(fit_length({}, 5, FitRule::Loop), std::logic_error);
}

TEST(FitLength, RulesHaveNames) {
    EXPECT_EQ(fit_rule_from_name("loop"), FitRule::Loop);
    EXPECT_EQ(fit_rule_from_name("zero"), FitRule::Zero);
    EXPECT_TRUE(fails_with([] { fit_rule_from_name("mirror"); }, {"loop or zero"}));
}

TEST(Silence, IsHalfAStepOf16BitsInBothDirections) {
    EXPECT_TRUE(is_silent(std::vector<float>{0x1.fffffep-17f, -0x1.fffffep-17f}));
    EXPECT_FALSE(is_silent(std::vector<float>{0, 0x1p-16f}));
    EXPECT_FALSE(is_silent(std::vector<float>{-0x1p-16f, 0}));
    EXPECT_FALSE(is_silent(std::vector<float>{-0.5f}));
}

/// Byte by byte, since libsndfile forgives a header much.
TEST(Wav, HeaderAndRounding) {
    const std::string bytes = wav_bytes(std::vector<float>{0.4f / 32768, 0.6f / 32768, -1.6f / 32768}, 22050);
    const char expected[] = "RIFF\x2A\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x22\x56\0\0\x44\xAC\0\0\2\0\x10\0data\6\0\0\0"
                            "\0\0\1\0\xFE\xFF";
    EXPECT_EQ(bytes, std::string(expected, sizeof expected - 1));
}

/// A chunk of odd size is followed by a byte of padding; whoever forgets it does not find the samples' own head.
TEST_F(Audio, ChunksBeforeTheSamplesAreSteppedOver) {
    const std::string whole = wav_bytes(std::vector<float>(1000, 0.25f), 44100);
    for (const std::string body : {"", "x", "xy", "xyz"}) {
        std::string note = "LIST" + std::string(1, static_cast<char>(body.size())) + std::string(3, '\0') + body;
        if (body.size() % 2 != 0) note += '\0';
        const std::string bytes = whole.substr(0, 36) + note + whole.substr(36);
        write_bytes("note.wav", bytes);
        EXPECT_EQ(read_mono(at("note.wav"), 44100), std::vector<float>(1000, 0.25f)) << body.size();
        write_bytes("cut.wav", bytes.substr(0, bytes.size() - 2));
        EXPECT_TRUE(reading_fails_with(at("cut.wav"), "promises 2000 bytes of audio, the file has 1998"));
    }
}

/// Cut between two pages, nothing is broken: only the mark of the last page is missing.
TEST_F(Audio, AnOggOfWholePagesIsCutShortWithoutItsLast) {
    const fs::path ogg = write("pages.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, sine(300, 44100, 200000));
    const size_t last_page = test::read_text(ogg).rfind("OggS");
    ASSERT_GT(last_page, 5000u);
    fs::resize_file(ogg, last_page);
    EXPECT_TRUE(reading_fails_with(ogg, "cut short"));
}

} // namespace
} // namespace scene
