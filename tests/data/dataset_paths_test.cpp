// The file that a row of a table refers to, and that no two rows refer to the same one.

#include "tests/data/dataset_fixture.h"

namespace scene {
namespace {

using DatasetPathsTest = test::DatasetTest;
using test::fails_with;
namespace fs = std::filesystem;

TEST_F(DatasetPathsTest, BackSlashesAreSlashes) {
    add_files({"set/rain/a.wav", "audio/b.wav", "set\\c.wav"});
    const Dataset dataset = read("file\nset\\rain\\a.wav\n.\\audio\\b.wav\nset\\c.wav\n");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "set/rain/a.wav");
    EXPECT_EQ(dataset.clips[0].name, "set\\rain\\a.wav") << "as the metadata writes it";
    EXPECT_EQ(dataset.clips[1].file, folder_ / "audio/b.wav");
    EXPECT_EQ(dataset.clips[2].file, folder_ / "set\\c.wav") << "a file may be called so";
}

TEST_F(DatasetPathsTest, APathOfAnotherMachineIsFoundByItsEnd) {
    add_files({"here/rain/a.wav", "here/tone/a.wav", "here/b.wav", "here/deep/rain/c.wav"});
    const Dataset dataset =
        read("file\n/home/other/set/rain/a.wav\nC:\\data\\set\\tone\\a.wav\nd:/x/b.wav\nrain/c.wav\n",
             {.audio = folder_ / "here"});
    EXPECT_EQ(dataset.clips[0].file, folder_ / "here/rain/a.wav");
    EXPECT_EQ(dataset.clips[1].file, folder_ / "here/tone/a.wav");
    EXPECT_EQ(dataset.clips[2].file, folder_ / "here/b.wav");
    EXPECT_EQ(dataset.clips[3].file, folder_ / "here/deep/rain/c.wav") << "the folder above may be left out";
    EXPECT_TRUE(rejects("file\nC:\\data\\b.wav\n", {"no audio file beside it", "--audio"}));
}

/// A cell's folders must match: a clip of fold1 is never taken from fold2.
TEST_F(DatasetPathsTest, AFileOfThatNameInAnotherFolderIsNotTheOne) {
    add_files({"here/fold2/x.wav"});
    EXPECT_TRUE(rejects("file\nfold1/x.wav\n", {"row 2 'fold1/x.wav'", "(there is ", "here/fold2/x.wav)"},
                        {.audio = folder_ / "here"}));
}

TEST_F(DatasetPathsTest, SeveralFilesThatACellCanMean) {
    add_files({"here/a/x.wav", "here/b/x.wav", "here/top.wav", "here/a/top.wav", "here/a/b/y.wav", "here/y.wav"});
    const DatasetOptions options{.audio = folder_ / "here"};
    EXPECT_TRUE(
        rejects("file\nx.wav\n", {"meta.csv:2", "'x.wav' may be", "a/x.wav or", "b/x.wav", "write more"}, options));
    EXPECT_EQ(read("file\ntop.wav\n", options).clips[0].file, folder_ / "here/top.wav") << "as it stands goes first";
    EXPECT_EQ(read("file\nb/y.wav\n", options).clips[0].file, folder_ / "here/a/b/y.wav") << "the longer common end";
    EXPECT_EQ(read("file\nq/y.wav\n", options).clips[0].file, folder_ / "here/y.wav");
}

TEST_F(DatasetPathsTest, TwoRowsOfOneFileAreNamed) {
    add_files({"flat/x0.wav", "flat/x1.wav", "a/x.wav"});
    EXPECT_TRUE(rejects("file,label\nfold1/x1.wav,rain\nfold1/x0.wav,tone\nfold2/x0.wav,rain\n",
                        {"meta.csv:4", "'fold2/x0.wav' and 'fold1/x0.wav' of row 3 are one file", "flat/x0.wav"},
                        {.audio = folder_ / "flat"}));
    for (const std::string other : {"./a/x.wav", "a//x.wav", "a\\x.wav", "a/../a/x.wav"})
        EXPECT_TRUE(rejects("file\na/x.wav\n" + other + "\n",
                            {"meta.csv:3", "'" + other + "' is 'a/x.wav' of row 2 in other words"}))
            << other;
    EXPECT_TRUE(
        rejects("file\na/x.wav\n" + (folder_ / "a/x.wav").string() + "\n", {"meta.csv:3", "row 2 are one file"}));
}

TEST_F(DatasetPathsTest, LinksToOneFileAreOneFileInEveryFormat) {
    add_files({"a.wav"});
    fs::create_symlink("a.wav", folder_ / "soft.wav");
    fs::create_hard_link(folder_ / "a.wav", folder_ / "hard.wav");
    for (const std::string link : {"soft.wav", "hard.wav"}) {
        EXPECT_TRUE(rejects("file\na.wav\n" + link + "\n", {"meta.csv:3", "row 2 are one file"}));
        EXPECT_TRUE(
            rejects("filename,fold,target,category\na.wav,1,0,x\n" + link + ",1,0,x\n", {"meta.csv:3", "row 2"}));
        EXPECT_TRUE(
            rejects("filename\tscene_label\na.wav\tx\n" + link + "\tx\n", {"meta.csv:3", "row 2 are one file"}));
    }
    EXPECT_TRUE(rejects("filename,scene_label\na,Bus\nhard,Bar\n", {"meta.csv:3", "row 2 are one file"}));
}

TEST_F(DatasetPathsTest, RowsWithoutAFileMayBeKept) {
    add_files({"a.wav"});
    const DatasetOptions keep{.keep_missing = true};
    const Dataset table = read("file,label\na.wav,x\nb.wav,y\n", keep);
    ASSERT_EQ(table.clips.size(), 2u);
    EXPECT_FALSE(table.clips[0].file.empty());
    EXPECT_TRUE(table.clips[1].file.empty());
    const Dataset cas = read("filename,scene_label\na,Bus\nb,Bar\n", keep);
    EXPECT_FALSE(cas.clips[0].file.empty()) << "files are looked for all the same";
    EXPECT_TRUE(cas.clips[1].file.empty());
}

TEST_F(DatasetPathsTest, Cas2023NamesMayHaveFolderAndExtension) {
    add_files({"audio/a_1.wav", "audio/b_2_44k.flac"});
    const Dataset dataset = read("filename;scene_label\naudio/a_1.wav;Bus\nb_2.wav;Bar\n");
    EXPECT_EQ(dataset.format, "cas2023");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "audio/a_1.wav");
    EXPECT_EQ(dataset.clips[1].file, folder_ / "audio/b_2_44k.flac");
}

} // namespace
} // namespace scene
