#include "data/audio/audio_files.h"

#include <gtest/gtest.h>
#include <sndfile.h>

#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using test::write_text;

class AudioFilesTest : public testing::Test {
protected:
    void add(const Names& names) {
        for (const std::string& name : names) write_text(folder_ / name, "x");
    }
    void link(const std::string& target, const std::string& name) {
        fs::create_directories((folder_ / name).parent_path());
        fs::create_symlink(target, folder_ / name);
    }
    /// The files found below a folder, as paths relative to the test's folder.
    Names found(const std::string& below = "") {
        Names out;
        for (const fs::path& file : audio_files_below(folder_ / below).files)
            out.push_back(file.lexically_relative(folder_.path()).string());
        return out;
    }

    test::TemporaryFolder folder_;
};

TEST_F(AudioFilesTest, EveryFormatOfTheLibraryInAnyCase) {
    const Names usual = {"a.AIFF", "b.wav", "c.Flac", "d.ogg", "e.oga", "f.aif", "g.au", "h.w64", "i.caf", "j.rf64"};
    add(usual);
    EXPECT_EQ(found(), usual);
    SF_FORMAT_INFO info{};
    info.format = 0x230000; // MPEG, which older libraries do not have
    const bool has_mpeg = sf_command(nullptr, SFC_GET_FORMAT_INFO, &info, sizeof info) == 0;
    EXPECT_EQ(is_audio_name("x.mp3"), has_mpeg);
    info.format = 0x0064; // Opus
    EXPECT_EQ(is_audio_name("x.opus"), sf_command(nullptr, SFC_GET_FORMAT_INFO, &info, sizeof info) == 0);
    for (const char* other :
         {"x.txt", "x", "wav", "x.wav.part", "x.wav.crdownload", "x.wav.tmp", "x.m4a", "x.raw", "x.mat"})
        EXPECT_FALSE(is_audio_name(other)) << other;
}

/// libsndfile writes and reads each of these formats, so their names count as audio.
TEST_F(AudioFilesTest, WhatHasAnAudioNameIsOpened) {
    const std::vector<std::pair<std::string, int>> formats = {
        {"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},   {"a.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16},
        {"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16}, {"a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS},
        {"a.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16}, {"a.au", SF_FORMAT_AU | SF_FORMAT_PCM_16},
        {"a.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16},   {"a.caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16},
        {"a.voc", SF_FORMAT_VOC | SF_FORMAT_PCM_16},   {"a.sph", SF_FORMAT_NIST | SF_FORMAT_PCM_16},
        {"a.sf", SF_FORMAT_IRCAM | SF_FORMAT_PCM_16},  {"a.8svx", SF_FORMAT_SVX | SF_FORMAT_PCM_16},
        {"a.avr", SF_FORMAT_AVR | SF_FORMAT_PCM_16},   {"a.pvf", SF_FORMAT_PVF | SF_FORMAT_PCM_16},
        {"a.paf", SF_FORMAT_PAF | SF_FORMAT_PCM_16},   {"a.htk", SF_FORMAT_HTK | SF_FORMAT_PCM_16},
        {"a.sds", SF_FORMAT_SDS | SF_FORMAT_PCM_16},   {"a.xi", SF_FORMAT_XI | SF_FORMAT_DPCM_16},
        {"a.wve", SF_FORMAT_WVE | SF_FORMAT_ALAW},
    };
    for (const auto& [name, format] : formats) {
        EXPECT_TRUE(is_audio_name(name)) << name;
        SF_INFO info{};
        info.samplerate = 8000;
        info.channels = 1;
        info.format = format;
        const std::vector<float> wave(1600, 0.25f);
        SNDFILE* out = sf_open((folder_ / name).c_str(), SFM_WRITE, &info);
        ASSERT_TRUE(out) << name;
        sf_writef_float(out, wave.data(), 1600);
        sf_close(out);
        SF_INFO read{};
        SNDFILE* in = sf_open((folder_ / name).c_str(), SFM_READ, &read);
        ASSERT_TRUE(in) << name;
        sf_close(in);
    }
    EXPECT_EQ(found().size(), formats.size());
}

TEST_F(AudioFilesTest, WhatNobodyMeansIsIgnored) {
    add({"a.wav", "._a.wav", ".a.wav", "__MACOSX/._a.wav", "__MACOSX/b.wav", ".git/c.wav", "~$d.wav", "e.wav~",
         "#f.wav#", ".DS_Store", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN/g.wav", "@eaDir/a.wav/x.wav",
         "lost+found/h.wav", "#1.wav", "~i.wav"});
    EXPECT_EQ(found(), (Names{"#1.wav", "a.wav", "~i.wav"}));
    EXPECT_EQ(audio_files_below(folder_.path()).left_out.files_text(), "");
}

TEST_F(AudioFilesTest, WhatIsLeftOutIsCountedInOneLine) {
    add({"a.wav", "x/b.txt", "c.TXT", "d.jpg", "notes", "b.wav.part"});
    EXPECT_EQ(audio_files_below(folder_.path()).left_out.files_text(),
              "5 files are no audio and were left out: 2 .txt, 1 without an extension, 1 .jpg, 1 .part");
    add({"e.m4a"});
    EXPECT_EQ(audio_files_below(folder_.path()).left_out.files_text(),
              "6 files are no audio that can be decoded and were left out: 2 .txt, 1 without an extension, 1 .jpg, 1 "
              ".m4a, 1 .part; convert .m4a with `ffmpeg -i clip.m4a clip.wav`");
    LeftOut one;
    EXPECT_EQ(one.files_text(), "");
    one.add_file("x.csv");
    EXPECT_EQ(one.files_text(), "1 file is no audio and was left out: 1 .csv");
    for (int i = 0; i < 9; ++i) one.add_file("x.e" + std::to_string(i));
    EXPECT_NE(one.files_text().find("1 .e6 and 2 other kinds"), std::string::npos) << one.files_text();
    LeftOut sum = one;
    sum.add(one);
    EXPECT_EQ(sum.by_extension.at(".csv"), 2);
}

TEST_F(AudioFilesTest, LinksAreFollowedAndLoopsEnd) {
    add({"top/rain/a.wav", "real/deep/b.wav", "real/c.wav", "single.wav"});
    link("../../real", "top/rain/more");
    link("../../single.wav", "top/rain/d.wav");
    link(".", "top/rain/self");
    link("..", "top/rain/up");
    link("../../top/rain", "real/deep/back");
    link("../../..", "real/deep/over");
    link("round", "top/rain/round");
    EXPECT_EQ(found("top/rain"),
              (Names{"top/rain/a.wav", "top/rain/d.wav", "top/rain/more/c.wav", "top/rain/more/deep/b.wav"}));
}

/// Through another folder, a link leads above the folder that is searched. The folder's neighbours are not found.
TEST_F(AudioFilesTest, ALinkAboveTheFolderByADetourIsALoop) {
    add({"top/rain/a.wav", "top/tone/b.wav", "other/c.wav"});
    link("../../other", "top/rain/more");
    link("../top", "other/back");
    EXPECT_EQ(found("top/rain"), (Names{"top/rain/a.wav", "top/rain/more/c.wav"}));
}

TEST_F(AudioFilesTest, WhatIsReachedTwiceCountsOnceUnderItsOwnName) {
    add({"z/a.wav", "z/deep/b.wav"});
    link("z", "a");
    link("z/a.wav", "0.wav");
    link("deep/b.wav", "z/also.wav");
    EXPECT_EQ(found(), (Names{"z/a.wav", "z/deep/b.wav"}));
}

TEST_F(AudioFilesTest, ALinkThatLeadsNowhereIsSaidByWhoReadsIt) {
    add({"a.wav"});
    link("gone.wav", "b.wav");
    link("c.wav", "c.wav");
    link("nowhere", "folder");
    EXPECT_EQ(found(), (Names{"a.wav", "b.wav", "c.wav"}));
}

TEST_F(AudioFilesTest, FoldersThatCannotBeReadAreNamed) {
    LeftOut left_out = audio_files_below(folder_ / "none").left_out;
    EXPECT_EQ(left_out.folders_text(),
              "1 folder cannot be read, first " + (folder_ / "none").string() + "; check its permissions");
    left_out.add(audio_files_below(folder_ / "nor this").left_out);
    EXPECT_EQ(left_out.folders_text(),
              "2 folders cannot be read, first " + (folder_ / "none").string() + "; check their permissions");
    EXPECT_EQ(audio_files_below(folder_.path()).left_out.folders_text(), "");
}

} // namespace
} // namespace scene
