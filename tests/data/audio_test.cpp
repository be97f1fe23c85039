// Decoding, resampling and bad files. Every file is built here, in a folder that is removed afterwards.

#include "data/audio/audio.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <numbers>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <sndfile.h>
#include <soxr.h>
#include <sys/resource.h>
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

    /// Writes interleaved samples to a file in a format of libsndfile.
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

/// Noise, which no codec compresses much.
std::vector<float> noise(size_t samples) {
    std::minstd_rand random(1);
    std::vector<float> wave(samples);
    for (float& sample : wave) sample = static_cast<float>(random() % 2001) / 2001 - 0.5f;
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
    // Root ignores permissions, so the test drops root for a moment.
    constexpr uid_t nobody = 65534;
    const uid_t user = geteuid();
    if (user == 0 && seteuid(nobody) != 0) GTEST_SKIP() << "cannot stop being root";
    EXPECT_TRUE(reading_fails_with(at("locked.wav"), "permissions"));
    ASSERT_EQ(seteuid(user), 0);
}

/// A file with more than half of the samples that its header promises is read to its end, with less it is an error.
TEST_F(Audio, TruncatedFiles) {
    const std::vector<float> wave = sine(300, 44100, 60000);
    for (double share : {0.99, 0.6, 0.4, 0.1}) {
        for (const auto& [name, format] : {std::pair{"cut.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
                                           {"cut.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
                                           {"cut.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16},
                                           {"cut.caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16},
                                           {"cut.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16},
                                           {"cut.au", SF_FORMAT_AU | SF_FORMAT_PCM_16},
                                           {"cut.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16}}) {
            const fs::path file = write(name, format, 44100, 1, wave);
            EXPECT_FALSE(read_recording(file, 44100).ends_early) << name;
            keep_first_bytes(file, share);
            if (share < 0.5) {
                EXPECT_TRUE(reading_fails_with(file, "cut short")) << name;
                // ... unless it has half of what is needed.
                EXPECT_EQ(read_recording(file, 44100, 3000).wave.size(), 3000u) << name;
                continue;
            }
            const Recording read = read_recording(file, 44100);
            EXPECT_TRUE(read.ends_early) << name;
            EXPECT_GT(static_cast<double>(read.wave.size()), (share - 0.1) * 60000) << name;
        }
        // How much an OGG file lacks is unknown.
        const fs::path ogg = write("cut.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, noise(150000));
        keep_first_bytes(ogg, share);
        EXPECT_TRUE(reading_fails_with(ogg, "cut short"));
        EXPECT_TRUE(share < 0.5 || read_recording(ogg, 44100, 2000).ends_early);
    }
}

TEST_F(Audio, WavOfUnknownLengthReachesToTheEndOfTheFile) {
    write_wav(at("pipe.wav"), std::vector<float>(1000, 0.25f), 44100);
    std::fstream file(at("pipe.wav"), std::ios::in | std::ios::out | std::ios::binary);
    for (int offset : {4, 40}) file.seekp(offset).write("\xff\xff\xff\xff", 4);
    file.close();
    EXPECT_EQ(read_mono(at("pipe.wav"), 44100), std::vector<float>(1000, 0.25f));
}

std::string number(uint64_t value, size_t bytes, bool big_endian) {
    std::string out;
    for (size_t i = 0; i < bytes; ++i)
        out.push_back(static_cast<char>(value >> (8 * (big_endian ? bytes - 1 - i : i)) & 0xff));
    return out;
}

/// Whatever size a stream leaves in the header, all samples are read, and nothing behind them.
TEST_F(Audio, SizesThatStreamsLeave) {
    struct Case {
        std::string name;
        int format;
        std::string tag;
        size_t distance, bytes; ///< from the tag to the size
        bool big_endian;
        uint64_t more; ///< bytes that the size counts beside the samples
    };
    const std::vector<float> wave(1000, 0.25f);
    for (const Case& c :
         {Case{"a.wav", SF_FORMAT_WAV, "data", 4, 4, false, 0},
          Case{"a.rifx", SF_FORMAT_WAV | SF_ENDIAN_BIG, "data", 4, 4, true, 0},
          Case{"a.aiff", SF_FORMAT_AIFF, "SSND", 4, 4, true, 8},
          Case{"a.au", SF_FORMAT_AU | SF_ENDIAN_BIG, ".snd", 8, 4, true, 0},
          Case{"a.w64", SF_FORMAT_W64, "data", 16, 8, false, 24}, Case{"a.caf", SF_FORMAT_CAF, "data", 4, 8, true, 4},
          Case{"a.rf64", SF_FORMAT_RF64, "ds64", 16, 8, false, 0}}) {
        const std::string whole = test::read_text(write(c.name, c.format | SF_FORMAT_PCM_16, 44100, 1, wave));
        const size_t tag = whole.find(c.tag);
        ASSERT_NE(tag, std::string::npos) << c.name;
        std::vector<uint64_t> sizes = {0,          2001,       2016,       3000,       0x7ffff000, 0x7fffffff,
                                       0x80000000, 0xffffff00, 0xffffffdb, 0xfffffffe, 0xffffffff};
        if (c.bytes == 8)
            for (uint64_t size : {~uint64_t{0}, ~uint64_t{0} >> 1, uint64_t{1} << 63}) sizes.push_back(size);
        for (uint64_t size : sizes) {
            if (size < 0x7f000000) size += c.more;
            std::string bytes = whole;
            bytes.replace(tag + c.distance, c.bytes, number(size, c.bytes, c.big_endian));
            write_bytes(c.name, bytes);
            const Recording read = read_recording(at(c.name), 44100);
            EXPECT_EQ(read.wave, wave) << c.name << " " << size;
            const bool legal = (c.name == "a.au" && size == 0xffffffff) || (c.name == "a.caf" && size == ~uint64_t{0});
            EXPECT_EQ(read.ends_early, !legal) << c.name << " " << size;
        }
    }
}

/// A LIST chunk behind the samples is not decoded, even if the size of the samples is unknown.
TEST_F(Audio, ChunksBehindSamplesOfUnknownSize) {
    for (size_t samples : {1000u, 1001u}) {
        const std::string whole = wav_bytes(std::vector<float>(samples, 0.25f), 44100);
        const std::string list = "LIST" + number(12, 4, false) + "INFOISFT" + number(0, 4, false);
        for (uint64_t size : {uint64_t{0}, uint64_t{2 * samples + 16}, uint64_t{0x7ffff000}, uint64_t{0xffffffff}}) {
            std::string bytes = whole;
            bytes.replace(40, 4, number(size, 4, false));
            write_bytes("list.wav", bytes + list);
            EXPECT_EQ(read_mono(at("list.wav"), 44100), std::vector<float>(samples, 0.25f)) << size;
        }
    }
    std::string empty = wav_bytes({}, 44100);
    write_bytes("empty.wav", empty + "LIST" + number(4, 4, false) + "INFO");
    EXPECT_TRUE(reading_fails_with(at("empty.wav"), "no samples"));
}

/// A frame of 320 kbit/s, then frames of 32 kbit/s. Without an index the decoder estimates the length from the first.
TEST_F(Audio, Mp3WithoutAnIndexIsReadToItsEnd) {
    std::string mp3;
    for (int frame = 0; frame < 200; ++frame) {
        const bool large = frame == 0;
        std::string bytes = large ? std::string("\xff\xfb\xe0\xc4", 4) : std::string("\xff\xfb\x10\xc4", 4);
        bytes.resize(large ? 1044 : 104, '\0');
        mp3 += bytes;
    }
    write_bytes("variable.mp3", mp3);
    const auto samples = static_cast<double>(read_mono(at("variable.mp3"), 44100).size());
    EXPECT_NEAR(samples, 200 * 1152, 3 * 1152);
    std::string wav = wav_bytes({}, 44100);
    wav[20] = 0x55;
    wav.replace(40, 4, number(mp3.size(), 4, false));
    write_bytes("mp3.wav", wav + mp3);
    EXPECT_EQ(static_cast<double>(read_mono(at("mp3.wav"), 44100).size()), samples);
}

TEST_F(Audio, OtherFormatsAreNamedWithTheCommandThatConverts) {
    const std::string rest(100, '\1');
    for (const auto& [name, start, format] :
         {std::tuple{"it's.m4a", std::string("\0\0\0\x20", 4) + "ftypM4A ", "MPEG-4"},
          {"a.wma", std::string("\x30\x26\xb2\x75"), "Windows Media"},
          {"a.amr", std::string("#!AMR\n"), "AMR"},
          {"a.aac", std::string("\xff\xf1\x50\x80"), "AAC"}}) {
        write_bytes(name, start + rest);
        EXPECT_TRUE(reading_fails_with(at(name), format));
        EXPECT_TRUE(reading_fails_with(at(name), "ffmpeg -i "));
    }
    EXPECT_TRUE(reading_fails_with(at("it's.m4a"), "it'\\''s.m4a' '"));
}

/// The samples that are decoded equal those of the whole file bit for bit, whatever the rate.
TEST_F(Audio, OnlyWhatIsNeededIsDecoded) {
    for (int rate : {8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000}) {
        std::vector<float> wave = sine(440, rate, rate * 2);
        for (size_t i = 0; i < wave.size(); i += 7) wave[i] *= 0.3f;
        const fs::path file = write("long.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1, wave);
        const std::vector<float> whole = read_mono(file, 44100);
        ASSERT_EQ(whole.size(), 88200u);
        for (int64_t samples : {1, 1000, 44100, 88198}) {
            const Recording read = read_recording(file, 44100, samples);
            EXPECT_TRUE(read.longer) << rate << " " << samples;
            EXPECT_EQ(read.wave, std::vector<float>(whole.begin(), whole.begin() + samples)) << rate << " " << samples;
        }
        for (int64_t samples : {88199, 88200, 90000}) {
            const Recording read = read_recording(file, 44100, samples);
            EXPECT_FALSE(read.longer) << rate << " " << samples;
            EXPECT_EQ(read.wave.size(), std::min<size_t>(static_cast<size_t>(samples), whole.size()));
        }
        // soxr in one call
        if (rate == 44100) continue;
        std::vector<float> once(whole.size());
        const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
        ASSERT_EQ(soxr_oneshot(rate, 44100, 1, wave.data(), wave.size(), nullptr, once.data(), once.size(), nullptr,
                               nullptr, &quality, nullptr),
                  nullptr);
        EXPECT_EQ(whole, once) << rate;
    }
}

/// Samples behind those that are needed are not checked.
TEST_F(Audio, WhatIsNotHeardIsNotLookedAt) {
    std::vector<float> wave(200000, 0.1f);
    wave[150000] = 1e20f;
    const fs::path file = write("huge.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 1, wave);
    EXPECT_EQ(read_recording(file, 44100, 44100).wave.size(), 44100u);
    EXPECT_TRUE(reading_fails_with(file, "sample 150000 is 1e+20: no audio"));
}

/// If a file needs more memory than there is, that is an error of one line, not the end of the process.
TEST_F(Audio, WithoutMemoryAFileIsOneLine) {
    const fs::path file = write("a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, 2, sine(440, 48000, 960000));
    const auto read = [&](size_t megabytes) {
        std::ifstream pages("/proc/self/statm");
        size_t used = 0;
        pages >> used;
        const rlimit limit{used * 4096 + (megabytes << 20), RLIM_INFINITY};
        setrlimit(RLIMIT_AS, &limit);
        try {
            read_mono(file, 44100);
        } catch (const Error& error) {
            _exit(std::string(error.what()).find("a.wav: needs more memory") != std::string::npos ? 1 : 2);
        }
        _exit(0);
    };
    EXPECT_EXIT(read(8), testing::ExitedWithCode(1), "");
    EXPECT_EXIT(read(1000), testing::ExitedWithCode(0), "");
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
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e20f, -3e38f,
                      std::nextafter(largest_sample, 1e20f)}) {
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

/// The bytes are compared, since libsndfile accepts many a wrong header.
TEST(Wav, HeaderAndRounding) {
    const std::string bytes = wav_bytes(std::vector<float>{0.4f / 32768, 0.6f / 32768, -1.6f / 32768}, 22050);
    const char expected[] = "RIFF\x2A\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x22\x56\0\0\x44\xAC\0\0\2\0\x10\0data\6\0\0\0"
                            "\0\0\1\0\xFE\xFF";
    EXPECT_EQ(bytes, std::string(expected, sizeof expected - 1));
}

/// A chunk of odd size is followed by a byte of padding.
TEST_F(Audio, ChunksBeforeTheSamplesAreSteppedOver) {
    const std::string whole = wav_bytes(std::vector<float>(1000, 0.25f), 44100);
    for (const std::string body : {"", "x", "xy", "xyz"}) {
        std::string note = "LIST" + std::string(1, static_cast<char>(body.size())) + std::string(3, '\0') + body;
        if (body.size() % 2 != 0) note += '\0';
        const std::string bytes = whole.substr(0, 36) + note + whole.substr(36);
        write_bytes("note.wav", bytes);
        EXPECT_EQ(read_mono(at("note.wav"), 44100), std::vector<float>(1000, 0.25f)) << body.size();
        write_bytes("cut.wav", bytes.substr(0, bytes.size() - 1200));
        EXPECT_TRUE(reading_fails_with(at("cut.wav"), "promises 1000 samples, 400 samples decode"));
    }
}

/// A file that ends between two pages is not damaged. It only lacks the flag of the last page, like a stream. What
/// follows the last page is ignored.
TEST_F(Audio, AnOggOfWholePagesIsRead) {
    const fs::path ogg = write("pages.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, noise(200000));
    const std::string whole = test::read_text(ogg);
    const size_t last_page = whole.rfind("OggS");
    ASSERT_GT(last_page, 5000u);
    for (const std::string& behind : {std::string(), std::string(100000, '\0'), std::string(300, 'x')}) {
        write_bytes("pages.ogg", whole.substr(0, last_page) + behind);
        const Recording read = read_recording(ogg, 44100);
        EXPECT_TRUE(read.ends_early);
        EXPECT_GT(read.wave.size(), 100000u);
        write_bytes("pages.ogg", whole + behind);
        EXPECT_EQ(read_mono(ogg, 44100).size(), 200000u);
    }
    std::string broken = whole;
    broken.replace(whole.size() / 2, 100, std::string(100, 'x'));
    write_bytes("pages.ogg", broken);
    EXPECT_TRUE(reading_fails_with(ogg, "damaged"));
}

} // namespace
} // namespace scene
