// The columns that are recognised by their names, the labels found, and the notes about both.

#include <algorithm>

#include "tests/data/dataset_fixture.h"

namespace scene {
namespace {

using ColumnsTest = test::DatasetTest;
using LabelsTest = test::DatasetTest;
using ClassFoldersTest = test::DatasetTest;
using test::fails_with;
using test::write_text;
namespace fs = std::filesystem;
using Classes = std::vector<std::string>;

/// How many of the notes contain all of the parts.
int notes_with(const Dataset& dataset, const std::vector<std::string>& parts) {
    int count = 0;
    for (const std::string& note : dataset.notes)
        count += std::all_of(parts.begin(), parts.end(),
                             [&](const std::string& part) { return note.find(part) != std::string::npos; });
    return count;
}

TEST_F(ColumnsTest, UsualNamesAreKnownAndSaid) {
    add_files({"a.wav", "b.wav"});
    for (const std::string file : {"file", "filename", "File Name", "path", "FilePath", "file_path", "audio",
                                   "audio_file", "clip", "fname", "wav", "slice_file_name"})
        for (const std::string label :
             {"label", "class", "Category", "scene", "scene_label", "class-name", "target_name", "target", "labels"}) {
            const Dataset dataset = read("id," + file + "," + label + "\n1,a.wav,x\n2,b.wav,y\n", {.format = "table"});
            EXPECT_EQ(dataset.classes, (Classes{"x", "y"})) << file << " " << label;
            EXPECT_EQ(dataset.clips[1].file, folder_ / "b.wav");
            EXPECT_EQ(dataset.notes.size(), file == "file" && label == "label" ? 0u : 1u);
            EXPECT_EQ(notes_with(dataset, {"label from '" + label + "'", "--column"}), label == "label" ? 0 : 1);
        }
    const Dataset rest = read("path,class,Location,recorded_at,fold_id,session_id,Mic\n"
                              "a.wav,x,Oslo,2023-06-18 18:44:34,3,s,m\nb.wav,y,,,,,\n");
    EXPECT_EQ(rest.cities, Classes{"Oslo"});
    EXPECT_EQ(rest.clips[0].time->hour, 18);
    EXPECT_EQ(rest.clips[0].fold, 3);
    EXPECT_EQ(rest.clips[0].session + rest.clips[0].device, "sm");
    EXPECT_EQ(notes_with(rest, {"file from 'path', label from 'class', city from 'Location', time from 'recorded_at'"}),
              1);
}

TEST_F(ColumnsTest, WhichOfSeveralDecides) {
    add_files({"a.wav", "b.wav"});
    const std::string rows = "\na.wav,1,x,p\nb.wav,2,y,q\n";
    const Dataset own = read("file,class,label,scene" + rows);
    EXPECT_EQ(own.classes, (Classes{"x", "y"})) << "the role's own name";
    EXPECT_TRUE(own.notes.empty());
    const Dataset usual = read("file,classID,category,class" + rows);
    EXPECT_EQ(usual.classes, (Classes{"p", "q"})) << "the more usual name, wherever it stands";
    EXPECT_EQ(notes_with(usual, {"label from 'class' (not 'category') (not 'classID')"}), 1);
    const Dataset named = read("file,classID,label,class" + rows, {.columns = {{"label", "classid"}}});
    EXPECT_EQ(named.classes, (Classes{"1", "2"})) << "what --column names, before all";
    EXPECT_TRUE(rejects("file,label,Label\na.wav,x,y\n", {"meta.csv", "two columns are called 'label'"}));
}

/// A column recognised by its name is a guess. If its cells do not fit, it is not used, and the table is still read.
TEST_F(ColumnsTest, ADateThatIsNoneIsNotUsed) {
    add_files({"a.wav", "b.wav"});
    const Dataset dataset = read("file,label,date,fold_id\na.wav,x,18.6.2023,left\nb.wav,y,,1\n");
    EXPECT_FALSE(dataset.clips[0].time);
    EXPECT_EQ(dataset.clips[1].fold, -1);
    EXPECT_EQ(
        notes_with(dataset, {"'date' is no time (row 2 has '18.6.2023')", "'fold_id' is no fold (row 2 has 'left')"}),
        1);
    EXPECT_TRUE(rejects("file,time\na.wav,18.6.2023\n", {"meta.csv:2", "is not a time"}));
}

TEST_F(ColumnsTest, ATableWithoutAHeaderIsSaidToHaveNone) {
    EXPECT_TRUE(rejects("a.wav,rain\nb.wav,tone\n", {"has no header", "its first row is a.wav, rain", "file,label"}));
}

TEST_F(ColumnsTest, AListBesideItsAudioIsNoFolderOfClasses) {
    add_files({"audio/a.wav", "audio/b.wav", "more/c.wav"});
    write_text(folder_ / "list.csv", "filename\na.wav\n");
    EXPECT_EQ(read_dataset(folder_.path()).format, "table");
    fs::rename(folder_ / "audio", folder_ / "clips");
    EXPECT_EQ(read_dataset(folder_.path(), {.audio = folder_ / "clips"}).format, "table");
    EXPECT_EQ(read_dataset(folder_.path()).format, "folder");
    fs::remove_all(folder_ / "more");
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path()); }, {"list.csv", "no audio file", "--audio"}))
        << "one folder is no choice of classes";
}

TEST_F(ColumnsTest, TheLikeliestTableOfAFolderIsRead) {
    add_files({"rain/a.wav", "tone/b.wav"});
    write_text(folder_ / "list.csv", "filename,seconds\nrain/a.wav,1\n");
    EXPECT_EQ(read_dataset(folder_.path()).format, "folder") << "a list without labels says less than the folders";
    EXPECT_EQ(notes_with(read_dataset(folder_.path()), {"list.csv", "has no labels"}), 1);
    write_text(folder_ / "classes.csv", "filename,class\nrain/a.wav,x\ntone/b.wav,y\n");
    EXPECT_EQ(read_dataset(folder_.path()).source, folder_ / "classes.csv");
    write_text(folder_ / "._mac.csv", "filename,class\nrain/a.wav,x\n");
    write_text(folder_ / "own.store.bad.csv", "file,row,reason\nrain/a.wav,2,short\n");
    EXPECT_EQ(read_dataset(folder_.path()).source, folder_ / "classes.csv");
    write_text(folder_ / "MORE.CSV", "filename,class\nrain/a.wav,x\n");
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path()); }, {"MORE.CSV, classes.csv", "name one"}));
}

TEST_F(LabelsTest, AreTrimmedInEveryFormat) {
    add_files({"a.wav", "b.wav"});
    EXPECT_EQ(read("file,label\na.wav,rain\nb.wav, \"rain \"\n").classes, Classes{"rain"});
    EXPECT_EQ(read("filename,fold,target,category\na.wav,1,0,dog\nb.wav , 2 , 0 ,dog \n").classes, Classes{"dog"});
    EXPECT_EQ(read("filename\tscene_label\na.wav\tbus\nb.wav\t bus \n").classes, Classes{"bus"});
    EXPECT_EQ(read("filename,scene_label\na,Bus \n b,Bar\n").clips[1].label, 9);
}

TEST_F(LabelsTest, NamesThatLookAlikeAreSaidAndStayApart) {
    add_files({"1.wav", "2.wav", "3.wav", "4.wav", "5.wav"});
    const Dataset dataset = read("file,label,city\n1.wav,rain,Oslo\n2.wav,Rain,oslo\n3.wav,street car,Bergen\n"
                                 "4.wav,street  car,\n5.wav,sun,\n");
    EXPECT_EQ(dataset.classes.size(), 5u);
    EXPECT_EQ(notes_with(dataset, {"classes", "stay apart", "'Rain' and 'rain'", "'street  car' and 'street car'"}), 1);
    EXPECT_EQ(notes_with(dataset, {"cities", "'Oslo' and 'oslo'"}), 1);
    EXPECT_EQ(notes_with(dataset, {"sun"}), 0);
    EXPECT_EQ(dataset.notes.size(), 2u);
}

TEST_F(LabelsTest, NothingOrOneClassLabelledIsSaid) {
    add_files({"a.wav", "b.wav"});
    const Dataset none = read("file,what\na.wav,x\nb.wav,y\n");
    EXPECT_EQ(notes_with(none, {"no clip has a label", "none of the columns file, what", "--column label=NAME"}), 1);
    EXPECT_EQ(notes_with(read("file,label\na.wav,\nb.wav,\n"), {"no clip has a label"}), 1);
    EXPECT_EQ(notes_with(read("file,label\na.wav,unlabelled\nb.wav,Unlabeled\n"), {"no clip has a label"}), 1);
    EXPECT_EQ(notes_with(read("filename,scene_label\na,\nb,\n"), {"no clip has a label"}), 1);
    EXPECT_EQ(notes_with(read("filename\tscene_label\na.wav\t\nb.wav\t\n"), {"no clip has a label"}), 1);
    EXPECT_EQ(notes_with(read("file,label\na.wav,x\nb.wav,\n"), {"one class, 'x'", "training needs two"}), 1);
    EXPECT_EQ(notes_with(read("filename,fold,target,category\na.wav,1,0,dog\n"), {"one class, 'dog'"}), 1);
    EXPECT_TRUE(read("file,label\na.wav,x\nb.wav,y\n").notes.empty());
}

/// Many tables have the columns `filename,scene_label` of the challenge.
TEST_F(LabelsTest, AHeaderLikeTheChallengesWithOtherClassesIsATable) {
    add_files({"a.wav", "b.wav"});
    const Dataset dataset = read("filename,scene_label\na.wav,forest\nb.wav,beach\n");
    EXPECT_EQ(dataset.format, "table");
    EXPECT_EQ(dataset.classes, (Classes{"beach", "forest"}));
    EXPECT_TRUE(
        rejects("filename,scene_label\na.wav,forest\nb.wav,Bus\n", {"unknown scene_label 'forest'", "--format csv"}));
}

TEST_F(LabelsTest, ClassListsAreUsableOrRefused) {
    add_files({"a.wav", "b.wav"});
    const std::string text = "file,label\na.wav,\"bus, tram\"\nb.wav,x\n";
    EXPECT_EQ(read(text, {.classes = {"x", "bus, tram"}}).clips[0].label, 1);
    EXPECT_TRUE(rejects(text, {"--classes", "a name is empty"}, {.classes = {"x", ""}}));
    EXPECT_TRUE(rejects(text, {"--classes", "'x' stands twice"}, {.classes = {"x", "y", "x"}}));
    EXPECT_TRUE(rejects("filename,scene_label\na,Bus\n", {"read as cas2023", "--format csv"}, {.classes = {"Bus"}}));
}

TEST_F(ClassFoldersTest, WhatIsNotTakenIsSaid) {
    add_files({"rain/a.wav", "rain/notes.txt", "tone/b.mp3", "tone/._b.mp3", "__MACOSX/rain/._a.wav", "dog/x.txt",
               "empty/deep/.keep", "loose.wav", "loose2.wav", "README.md"});
    const Dataset dataset = read_dataset(folder_.path());
    EXPECT_EQ(dataset.classes, (Classes{"rain", "tone"}));
    EXPECT_EQ(dataset.clips.size(), 2u);
    EXPECT_EQ(notes_with(dataset, {"2 class folders have no audio: 'dog', 'empty'"}), 1);
    EXPECT_EQ(notes_with(dataset, {"2 audio files beside the class folders left out (loose.wav, loose2.wav)"}), 1);
    EXPECT_EQ(notes_with(dataset, {"3 files are no audio and were left out: 2 .txt, 1 .md"}), 1);
    EXPECT_EQ(dataset.notes.size(), 3u);
    EXPECT_EQ(notes_with(read_dataset(folder_ / ".", {.classes = {"rain", "tone"}}), {"'dog'"}), 1)
        << "an empty folder need not be among the classes given";
}

TEST_F(ClassFoldersTest, AFileInTwoClassesIsRefused) {
    add_files({"rain/a.wav", "tone/b.wav"});
    fs::create_symlink("../tone/b.wav", folder_ / "tone/again.wav");
    EXPECT_EQ(read_dataset(folder_.path()).clips.size(), 2u) << "twice in one class counts once";
    fs::create_symlink("../rain/a.wav", folder_ / "tone/c.wav");
    EXPECT_TRUE(
        fails_with([&] { read_dataset(folder_.path()); }, {"rain/a.wav and", "tone/c.wav are one file in two class"}));
    fs::remove(folder_ / "tone/c.wav");
    fs::create_directory_symlink("rain", folder_ / "drizzle");
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path()); }, {"drizzle/a.wav and", "rain/a.wav"}));
}

TEST_F(ClassFoldersTest, PartsThatHoldTheClassFoldersAreSaid) {
    add_files({"train/rain/a.wav", "train/tone/b.wav", "test/rain/c.wav", "test/tone/deep/d.wav"});
    EXPECT_EQ(notes_with(read_dataset(folder_.path()),
                         {"the classes are 'test', 'train'", "hold the folders 'rain', 'tone'"}),
              1);
    add_files({"train/sun/e.wav"});
    EXPECT_TRUE(read_dataset(folder_.path()).notes.empty()) << "not the same folders";
    add_files({"test/sun/f.wav"});
    EXPECT_EQ(read_dataset(folder_.path()).notes.size(), 1u);
    add_files({"test/g.wav"});
    EXPECT_TRUE(read_dataset(folder_.path()).notes.empty()) << "audio in a class folder itself";
}

TEST_F(ClassFoldersTest, OneFolderIsSaidToBeOneClass) {
    add_files({"set/rain/a.wav", "set/tone/b.wav", "Unlabelled/c.wav"});
    const Dataset dataset = read_dataset(folder_.path());
    EXPECT_EQ(notes_with(dataset, {"one class, 'set'", "the classes are the folders in"}), 1);
    EXPECT_EQ(
        std::count_if(dataset.clips.begin(), dataset.clips.end(), [](const Clip& clip) { return clip.label < 0; }), 1);
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path(), {.audio = folder_ / "set"}); }, {"takes no --audio"}));
}

} // namespace
} // namespace scene
