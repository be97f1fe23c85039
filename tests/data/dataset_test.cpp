#include "data/formats/dataset.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/data/dataset_fixture.h"
#include "tests/support/shared_data.h"

namespace scene {
namespace {

using test::DatasetTest;
using test::fails_with;
using test::write_text;

using Cas2023Test = DatasetTest;
using Esc50Test = DatasetTest;
using TauTest = DatasetTest;
using TableTest = DatasetTest;
using FolderTest = DatasetTest;

TEST_F(Cas2023Test, FullLayout) {
    add_files({"audio/x_aa1_1.wav", "audio/bb_2.FLAC", "audio/cc.ogg", "audio/notes.txt"});
    const Dataset dataset = read("\xEF\xBB\xBF"
                                 "filename,location,record_time,scene_label\r\n"
                                 "aa1_1,Xi'an,2023-06-18 18:44:34,shopping_MALL\r\n"
                                 "bb_2,Atlantis,2023-06-19 01:00:00,\r\n"
                                 "cc,,,Bar\r\n");
    EXPECT_EQ(dataset.format, "cas2023");
    ASSERT_EQ(dataset.classes.size(), 10u);
    EXPECT_EQ(dataset.classes[0], "Bus");
    EXPECT_EQ(dataset.classes[9], "Bar");
    ASSERT_EQ(dataset.cities.size(), 22u);
    EXPECT_EQ(dataset.cities[21], "Dandong");
    const Clip &first = dataset.clips[0], &second = dataset.clips[1], &third = dataset.clips[2];
    EXPECT_EQ(first.name, "aa1_1");
    EXPECT_EQ(first.file, folder_ / "audio/x_aa1_1.wav");
    EXPECT_EQ(first.label, 4);
    EXPECT_EQ(dataset.city_index(first.city), 0);
    EXPECT_EQ(first.session, "Xi'an 2023-06-18 18:44:34");
    EXPECT_EQ(first.time->minute, 44);
    EXPECT_EQ(first.line, 2u);
    EXPECT_EQ(second.label, -1);
    EXPECT_EQ(second.city, "Atlantis");
    EXPECT_EQ(dataset.city_index(second.city), -1);
    EXPECT_EQ(third.label, 9);
    EXPECT_EQ(third.session, "");
    EXPECT_FALSE(third.time);
    EXPECT_EQ(dataset.city_index(third.city), -1);
}

TEST_F(Cas2023Test, ShortLayoutWithAudioElsewhere) {
    add_files({"wavs/deep/down/abc_1_44k.wav"});
    const Dataset dataset = read("filename,scene_label\nabc_1,Bus\n", {.audio = folder_ / "wavs"});
    EXPECT_EQ(dataset.clips[0].label, 0);
    EXPECT_EQ(dataset.clips[0].session, "");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "wavs/deep/down/abc_1_44k.wav");
}

TEST_F(Cas2023Test, AFullNameGoesBeforeAPartOfOne) {
    add_files({"abc_1.wav", "abc_10.wav"});
    const Dataset dataset = read("filename,scene_label\nabc_1,Bus\nabc_10,Bar\n");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "abc_1.wav");
    EXPECT_EQ(dataset.clips[1].file, folder_ / "abc_10.wav");
}

TEST_F(Cas2023Test, ANameMayStandTwiceInOneFile) {
    add_files({"aa_aa_aa.wav"});
    EXPECT_EQ(read("filename,scene_label\naa,Bus\n").clips[0].file, folder_ / "aa_aa_aa.wav");
}

/// The file of clip NAME is the one called *NAME*.wav, wherever the name stands.
TEST_F(Cas2023Test, ANameIsFoundAtTheBeginTheMiddleAndTheEndOfAFilesName) {
    add_files({"audio/aa_x.wav", "audio/y_bb_y.wav", "audio/deep/z_cc.wav", "audio/dd.ogg", "audio/ee.txt"});
    const Dataset dataset = read("scene_label,filename\nBus,aa\nBus,bb\nBus,cc\nBus,dd\n");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "audio/aa_x.wav");
    EXPECT_EQ(dataset.clips[1].file, folder_ / "audio/y_bb_y.wav");
    EXPECT_EQ(dataset.clips[2].file, folder_ / "audio/deep/z_cc.wav");
    EXPECT_EQ(dataset.clips[3].file, folder_ / "audio/dd.ogg");
    EXPECT_TRUE(rejects("filename,scene_label\nee,Bus\n", {"row 2 'ee'"})) << "a text is no audio";
}

TEST_F(Cas2023Test, TheColumnsMayStandInAnyOrderAndEveryCellMayBeEmpty) {
    add_files({"a.wav", "b.wav", "c.wav", "d.wav", "e.wav"});
    const Dataset dataset = read("record_time,scene_label,location,filename\n"
                                 "2023-06-18 18:44:34,Bar,hefei,a\n,Bar,Hefei,b\n2023-06-18 18:44:34,Bar,,c\n,,,d\n"
                                 "2023-06-18,bar,Atlantis,e\n");
    EXPECT_EQ(dataset.format, "cas2023");
    const std::vector<std::string> sessions = {"Hefei 2023-06-18 18:44:34", "", "", "", "Atlantis 2023-06-18"};
    for (size_t i = 0; i < sessions.size(); ++i) EXPECT_EQ(dataset.clips[i].session, sessions[i]) << i;
    const std::vector<int> cities = {4, 4, -1, -1, -1}, labels = {9, 9, 9, -1, 9};
    for (size_t i = 0; i < cities.size(); ++i) {
        EXPECT_EQ(dataset.city_index(dataset.clips[i].city), cities[i]) << i;
        EXPECT_EQ(dataset.clips[i].label, labels[i]) << i;
        EXPECT_EQ(dataset.clips[i].time.has_value(), i % 2 == 0) << i;
    }
    for (const char* other :
         {"filename,scene_label,location\na,b,c\n", "filename,scene_label,record_time,x\na,b,c,d\n",
          "filename,location,record_time\na,b,c\n", "filename\tscene_label\tlocation\trecord_time\na\tb\tc\td\n"})
        EXPECT_TRUE(rejects(other, {"wrong header"}, {.format = "cas2023"})) << other;
}

TEST_F(Cas2023Test, BadMetadata) {
    add_files({"a.wav", "b.wav", "x_c.wav", "c_x.wav"});
    const std::string header = "filename,location,record_time,scene_label\n";
    EXPECT_TRUE(rejects("name,scene_label\na,Bus\n", {"meta.csv", "wrong header", "found name, scene_label",
                                                      "expected filename,location,record_time,scene_label"}));
    EXPECT_TRUE(rejects(header + "a,Hefei,,Bus\na,Hefei,,Bus\n", {"meta.csv:3", "'a' already stands in row 2"}));
    EXPECT_TRUE(
        rejects(header + "a,Hefei,,Busstop\n", {"meta.csv:2", "unknown scene_label 'Busstop'", "Bus, Airport"}));
    EXPECT_TRUE(rejects(header + "a,Hefei,18.6.2023,Bus\n", {"meta.csv:2", "'18.6.2023' is not a time"}));
    EXPECT_TRUE(rejects(header + ",Hefei,,Bus\n", {"meta.csv:2", "name of the clip is empty"}));
    EXPECT_TRUE(rejects(header + "c,Hefei,,Bus\n", {"meta.csv:2", "c_x.wav", "x_c.wav", "match 'c'"}));
    EXPECT_TRUE(rejects(header + "a,Hefei,Bus\n", {"meta.csv:2", "3 fields"}));
    EXPECT_TRUE(rejects(header, {"meta.csv", "no rows"}));
    EXPECT_TRUE(rejects("", {"meta.csv", "empty"}));
}

TEST_F(Cas2023Test, MissingAudioIsListedUpToTenRows) {
    add_files({"a.wav"});
    std::string text = "filename,scene_label\na,Bus\n";
    for (int i = 1; i <= 13; ++i) text += "none" + std::to_string(i) + ",Bar\n";
    EXPECT_TRUE(rejects(text, {"meta.csv", "row 3 'none1'", "row 12 'none10'", "and 3 more", "--audio"}));
    EXPECT_FALSE(fails_with([&] { read(text); }, {"none11"}));
    const Dataset dataset = read(text, {.require_audio = false});
    EXPECT_EQ(dataset.clips.size(), 14u);
    EXPECT_TRUE(dataset.clips[1].file.empty());
    EXPECT_TRUE(rejects(text, {"nowhere", "not a folder of audio", "--audio"}, {.audio = folder_ / "nowhere"}));
}

TEST_F(Cas2023Test, TheRealMetadata) {
    const std::filesystem::path real = test::shared_data() / "cas2023";
    if (!std::filesystem::exists(real)) GTEST_SKIP() << real << " is not there";
    const Dataset dev = read_dataset(real / "dev_metadata.csv", {.require_audio = false});
    const std::map<std::string, int> counts = {
        {"Airport", 220},        {"Bar", 165},        {"Bus", 188},           {"Construction site", 173},
        {"Metro", 209},          {"Restaurant", 173}, {"Public square", 174}, {"Shopping mall", 147},
        {"Traffic street", 143}, {"Urban park", 148}};
    std::map<std::string, int> found;
    std::map<std::string, std::set<int>> labels_of_session;
    std::set<std::string> sessions, cities;
    for (const Clip& clip : dev.clips) {
        ASSERT_TRUE(clip.time);
        ASSERT_GE(dev.city_index(clip.city), 0) << clip.city;
        cities.insert(clip.city);
        sessions.insert(clip.session);
        if (clip.label < 0) continue;
        ++found[dev.classes[static_cast<size_t>(clip.label)]];
        labels_of_session[clip.session].insert(clip.label);
    }
    EXPECT_EQ(dev.clips.size(), 8700u);
    EXPECT_EQ(found, counts);
    EXPECT_EQ(cities.size(), 8u);
    EXPECT_EQ(sessions.size(), 328u);
    EXPECT_EQ(labels_of_session.size(), 309u);
    for (const auto& [session, labels] : labels_of_session) EXPECT_EQ(labels.size(), 1u) << session;

    const Dataset evaluation = read_dataset(real / "eval_metadata.csv", {.require_audio = false});
    EXPECT_EQ(evaluation.clips.size(), 1100u);
    for (const Clip& clip : evaluation.clips) EXPECT_EQ(clip.label, -1);
    EXPECT_TRUE(fails_with([&] { read_dataset(real); }, {"dev_metadata.csv, eval_metadata.csv", "name one"}));
}

TEST_F(Esc50Test, ClassesInTheOrderOfTheirTargets) {
    add_files({"audio/1-17-A-7.wav", "audio/2-17-B-7.wav", "audio/x.wav", "attribution.csv"});
    write_text(folder_ / "attribution.csv", "filename,author\nx.wav,Y\n");
    write_text(folder_ / "esc.csv", "filename,fold,target,category,esc10\n1-17-A-7.wav,1,7,rain,True\n"
                                    "2-17-B-7.wav,2,7,rain,True\nx.wav,,3,dog,False\n");
    const Dataset dataset = read_dataset(folder_.path());
    EXPECT_EQ(dataset.format, "esc50");
    EXPECT_EQ(dataset.classes, (std::vector<std::string>{"dog", "rain"}));
    EXPECT_EQ(dataset.clips[0].label, 1);
    EXPECT_EQ(dataset.clips[1].fold, 2);
    EXPECT_EQ(dataset.clips[0].session, "17");
    EXPECT_EQ(dataset.clips[2].session, "");
    EXPECT_EQ(dataset.clips[2].label, 0);
    EXPECT_EQ(dataset.clips[2].fold, -1);
    EXPECT_TRUE(dataset.cities.empty());
}

TEST_F(Esc50Test, TheOriginalLayoutHasItsTableInMeta) {
    add_files({"audio/1-17-A-7.wav"});
    write_text(folder_ / "meta/esc50.csv", "filename,fold,target,category,esc10,src_file,take\n"
                                           "1-17-A-7.wav,1,7,rain,True,99,A\n");
    const Dataset dataset = read_dataset(folder_.path());
    EXPECT_EQ(dataset.clips[0].file, folder_ / "audio/1-17-A-7.wav");
    EXPECT_EQ(dataset.clips[0].session, "99");
}

/// A name is FOLD-RECORDING-TAKE-TARGET. A column src_file takes precedence, in any order of the columns.
TEST_F(Esc50Test, TheRecordingIsTheColumnOrElseThePartOfTheName) {
    const std::vector<std::pair<std::string, std::string>> clips = {{"1-100032-A-0.wav", "100032"},
                                                                    {"2-17-B-7.wav", "17"},
                                                                    {"3-4.wav", ""},
                                                                    {"5.wav", ""},
                                                                    {"1-a7-A-0.wav", ""},
                                                                    {"6-8", ""},
                                                                    {"1--A-0.wav", ""},
                                                                    {"1-7-.wav", "7"}};
    std::string by_name = "filename,fold,target,category\n", by_column = "src_file,category,target,fold,filename\n";
    for (size_t i = 0; i < clips.size(); ++i) {
        add_files({clips[i].first});
        const std::string target = std::to_string(9 - i), category = std::string(1, static_cast<char>('a' + i));
        by_name += clips[i].first + ",0," + target + "," + category + "\n";
        by_column += "f" + target + "," + category + "," + target + ",11," + clips[i].first + "\n";
    }
    const Dataset named = read(by_name), columns = read(by_column);
    EXPECT_EQ(named.classes, (std::vector<std::string>{"h", "g", "f", "e", "d", "c", "b", "a"})) << "by target";
    for (size_t i = 0; i < clips.size(); ++i) {
        EXPECT_EQ(named.clips[i].session, clips[i].second) << clips[i].first;
        EXPECT_EQ(columns.clips[i].session, "f" + std::to_string(9 - i));
        EXPECT_EQ(named.clips[i].label, 7 - static_cast<int>(i)) << "targets 2 to 9 are classes 0 to 7";
        EXPECT_EQ(named.clips[i].fold, 0);
        EXPECT_EQ(columns.clips[i].fold, 11);
    }
    const std::string header = "filename,fold,target,category\n";
    EXPECT_TRUE(rejects(header + "5.wav,1,0,\n", {"meta.csv:2", "the category is empty"}));
    for (const char* target : {"1x", "", "1.0", "x"})
        EXPECT_TRUE(rejects(header + "5.wav,1," + target + ",dog\n", {"meta.csv:2", "is not a target"})) << target;
    for (const char* fold : {"1x", "1.0", "-1"})
        EXPECT_TRUE(rejects(header + "5.wav," + fold + ",1,dog\n", {"meta.csv:2", "is not a fold"})) << fold;
}

TEST_F(Esc50Test, BadMetadata) {
    add_files({"a.wav", "b.wav"});
    const std::string header = "filename,fold,target,category\n";
    EXPECT_TRUE(rejects(header + "a.wav,x,0,dog\n", {"meta.csv:2", "'x' is not a fold"}));
    EXPECT_TRUE(rejects(header + "a.wav,1,-1,dog\n", {"meta.csv:2", "'-1' is not a target"}));
    EXPECT_TRUE(rejects(header + "a.wav,1,0,dog\nb.wav,1,0,cat\n", {"meta.csv:3", "target 0 is 'cat' here and 'dog'"}));
    EXPECT_TRUE(rejects(header + "a.wav,1,0,dog\nb.wav,1,1,dog\n", {"category 'dog' has targets 0 and 1"}));
    EXPECT_TRUE(rejects(header + "a.wav,1,0,dog\na.wav,1,0,dog\n", {"meta.csv:3", "already stands in row 2"}));
    EXPECT_TRUE(rejects(header + "a.wav,1,0,dog\nc.wav,1,0,dog\n", {"no audio file", "row 3 'c.wav'"}));
}

TEST_F(Esc50Test, TheRealClips) {
    const std::filesystem::path real = test::shared_data() / "esc10";
    if (!std::filesystem::exists(real)) GTEST_SKIP() << real << " is not there";
    const Dataset dataset = read_dataset(real);
    EXPECT_EQ(dataset.format, "esc50");
    EXPECT_EQ(dataset.clips.size(), 320u);
    EXPECT_EQ(dataset.classes.size(), 10u);
    EXPECT_EQ(dataset.classes[0], "dog_bark");
    std::map<std::pair<int, int>, int> counts;
    for (const Clip& clip : dataset.clips) ++counts[{clip.fold, clip.label}];
    EXPECT_EQ(counts.size(), 40u);
    for (const auto& [key, count] : counts) EXPECT_EQ(count, 8);
}

TEST_F(TauTest, BothLineEnds) {
    add_files({"audio/airport-barcelona-0-0-a.wav", "audio/bus-london-3-77-s1.wav", "audio/7.wav"});
    for (const std::string end : {"\n", "\r\n"}) {
        const Dataset dataset =
            read("filename\tscene_label\tidentifier\tsource_label" + end +
                 "audio/airport-barcelona-0-0-a.wav\tairport\tbarcelona-0\ta" + end +
                 "audio/bus-london-3-77-s1.wav\tbus\tlondon-3\ts1" + end + "audio/7.wav\t\t\t" + end);
        EXPECT_EQ(dataset.format, "tau");
        EXPECT_EQ(dataset.classes, (std::vector<std::string>{"airport", "bus"}));
        EXPECT_EQ(dataset.cities, (std::vector<std::string>{"barcelona", "london"}));
        EXPECT_EQ(dataset.clips[1].label, 1);
        EXPECT_EQ(dataset.clips[1].city, "london");
        EXPECT_EQ(dataset.clips[1].device, "s1");
        EXPECT_EQ(dataset.clips[1].session, "london-3");
        EXPECT_EQ(dataset.clips[0].file, folder_ / "audio/airport-barcelona-0-0-a.wav");
        EXPECT_EQ(dataset.clips[2].label, -1);
        EXPECT_EQ(dataset.clips[2].city, "");
    }
}

TEST_F(TauTest, EvaluationSetupListsHaveTheAudioAbove) {
    add_files({"audio/airport-paris-1-2-b.wav"});
    const Dataset dataset =
        read("filename\tscene_label\naudio/airport-paris-1-2-b.wav\tairport\n", {}, "evaluation_setup/fold1_train.csv");
    EXPECT_EQ(dataset.clips[0].device, "b");
    EXPECT_EQ(dataset.clips[0].file, (folder_ / "audio/airport-paris-1-2-b.wav"));
}

/// CLASS-CITY-LOCATION-SEGMENT-DEVICE, without the device in the first edition.
TEST_F(TauTest, CityAndDeviceAreTheNamesPartsWhereItHasThem) {
    struct Named {
        std::string name, city, device;
    };
    const std::vector<Named> clips = {
        {"airport-barcelona-0-0-a.wav", "barcelona", "a"},
        {"audio/bus-london-3-77.wav", "london", ""},
        {"audio/tram-lyon-1-2-s1.wav", "lyon", "s1"},
        {"metro-paris-1.wav", "", ""},
        {"metro-oslo.wav", "", ""},
        {"7.wav", "", ""},
        {"a-b/c-d-e/park-vienna-4-5.wav", "vienna", ""},
        {"a-b/c-d-e/park-prague-4-5-c.wav", "prague", "c"},
    };
    std::string plain = "filename\tscene_label\n", with_device = "scene_label\tsource_label\tfilename\n";
    for (const Named& clip : clips) {
        add_files({clip.name});
        plain += clip.name + "\tx\n";
        with_device += "x\tcolumn\t" + clip.name + "\n";
    }
    const Dataset by_name = read(plain), by_column = read(with_device);
    EXPECT_EQ(by_name.cities, (std::vector<std::string>{"barcelona", "london", "lyon", "prague", "vienna"}));
    for (size_t i = 0; i < clips.size(); ++i) {
        EXPECT_EQ(by_name.clips[i].city, clips[i].city) << clips[i].name;
        EXPECT_EQ(by_column.clips[i].city, clips[i].city) << clips[i].name;
        EXPECT_EQ(by_name.clips[i].device, clips[i].device) << clips[i].name;
        EXPECT_EQ(by_column.clips[i].device, "column") << clips[i].name;
        EXPECT_EQ(by_name.clips[i].session, "") << "without a column identifier there is none";
        EXPECT_EQ(by_name.clips[i].name, clips[i].name);
    }
    EXPECT_EQ(read("filename;scene_label;identifier;source_label\n" + clips[0].name + ";b;c;d\n").format, "tau");
    EXPECT_TRUE(rejects("filename,scene_label\na,b\n", {"wrong header"}, {.format = "tau"}));
}

TEST_F(TauTest, MissingFilesAndTwins) {
    add_files({"audio/a.wav"});
    EXPECT_TRUE(rejects("filename\tscene_label\naudio/a.wav\tx\naudio/b.wav\tx\n", {"row 3 'audio/b.wav'"}));
    EXPECT_TRUE(rejects("filename\tscene_label\naudio/a.wav\tx\naudio/a.wav\tx\n", {"meta.csv:3", "row 2"}));
}

TEST_F(TableTest, NamedColumns) {
    add_files({"clips/a.wav", "clips/b.wav"});
    const Dataset dataset = read("Path;x,what,town,when,part,trip,phone\n"
                                 "a.wav,rain,Oslo,2023-06-18 18:44:34,3,t1,p1\nb.wav,,,,,,\n",
                                 {.audio = folder_ / "clips",
                                  .columns = {{"file", "Path;x"},
                                              {"label", "what"},
                                              {"city", "town"},
                                              {"time", "when"},
                                              {"fold", "part"},
                                              {"session", "trip"},
                                              {"device", "phone"}}});
    EXPECT_EQ(dataset.format, "table");
    EXPECT_EQ(dataset.classes, (std::vector<std::string>{"rain"}));
    EXPECT_EQ(dataset.cities, (std::vector<std::string>{"Oslo"}));
    EXPECT_EQ(dataset.clips[0].fold, 3);
    EXPECT_EQ(dataset.clips[0].session, "t1");
    EXPECT_EQ(dataset.clips[0].device, "p1");
    EXPECT_EQ(dataset.clips[0].time->hour, 18);
    EXPECT_EQ(dataset.clips[1].label, -1);
    EXPECT_EQ(dataset.clips[1].fold, -1);
}

TEST_F(TableTest, OnlyTheFileIsNeeded) {
    add_files({"a.wav"});
    const Dataset dataset = read("id,file\n1,a.wav\n");
    EXPECT_EQ(dataset.format, "table");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "a.wav");
    EXPECT_TRUE(dataset.classes.empty());
}

/// With --column the file is a table, even if its header is that of another format.
TEST_F(TableTest, NamedColumnsMakeItATable) {
    add_files({"a.wav", "b.wav"});
    const std::string text = "filename,scene_label\na.wav,Bus\nb.wav,\n";
    EXPECT_EQ(read("filename,scene_label\na,Bus\n").format, "cas2023");
    const Dataset dataset =
        read(text, {.columns = {{"file", "filename"}, {"label", "scene_label"}}, .classes = {"Tram", "Bus", "Car"}});
    EXPECT_EQ(dataset.format, "table");
    EXPECT_EQ(dataset.classes, (std::vector<std::string>{"Tram", "Bus", "Car"})) << "in the order given";
    EXPECT_EQ(dataset.clips[0].label, 1);
    EXPECT_EQ(dataset.clips[1].label, -1) << "no label need not be known";
}

TEST_F(DatasetTest, ATsvIsATableToo) {
    add_files({"a.wav"});
    write_text(folder_ / "meta.tsv", "filename\tscene_label\na.wav\tx\n");
    EXPECT_EQ(read_dataset(folder_.path()).format, "tau");
}

TEST_F(TableTest, BadColumnsAndLabels) {
    add_files({"a.wav"});
    const std::string text = "file,label\na.wav,rain\n";
    EXPECT_TRUE(
        rejects(text, {"meta.csv", "no column 'town' for city", "file, label"}, {.columns = {{"city", "town"}}}));
    EXPECT_TRUE(rejects(text, {"'town' is not one of file, label"}, {.columns = {{"town", "label"}}}));
    EXPECT_TRUE(rejects(text, {"wrong header", "found file, label"}, {.columns = {{"file", "path"}}}));
    EXPECT_TRUE(
        rejects(text, {"meta.csv:2", "unknown label 'rain'", "known are sun, wind"}, {.classes = {"sun", "wind"}}));
    EXPECT_EQ(read(text, {.classes = {"sun", "rain"}}).clips[0].label, 1);
    EXPECT_TRUE(rejects(text, {"wrong header", "expected filename,fold,target,category"}, {.format = "esc50"}));
    EXPECT_TRUE(rejects(text, {"--format wav", "choose auto, cas2023"}, {.format = "wav"}));
}

TEST_F(FolderTest, OneFolderPerClass) {
    add_files({"rain/b.wav", "rain/2023/a.OGG", "dog/x.flac", "dog/readme.txt", "unlabelled/u.wav", ".hidden/h.wav"});
    const Dataset dataset = read_dataset(folder_.path());
    EXPECT_EQ(dataset.format, "folder");
    EXPECT_EQ(dataset.classes, (std::vector<std::string>{"dog", "rain"}));
    ASSERT_EQ(dataset.clips.size(), 4u);
    EXPECT_EQ(dataset.clips[0].name, "dog/x.flac");
    EXPECT_EQ(dataset.clips[1].name, "rain/2023/a.OGG");
    EXPECT_EQ(dataset.clips[1].label, 1);
    EXPECT_EQ(dataset.clips[3].name, "unlabelled/u.wav");
    EXPECT_EQ(dataset.clips[3].label, -1);
}

TEST_F(FolderTest, BadFolders) {
    add_files({"rain/b.wav"});
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path(), {.classes = {"sun"}}); }, {"rain", "known are sun"}));
    std::filesystem::remove_all(folder_ / "rain");
    EXPECT_TRUE(
        fails_with([&] { read_dataset(folder_.path()); }, {"no dataset here", "one folder of audio per class"}));
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path(), {.format = "folder"}); }, {"no folders with audio"}));
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_ / "none"); }, {"none", "no such file or folder"}));
    write_text(folder_ / "f.csv", "x");
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_ / "f.csv", {.format = "folder"}); }, {"f.csv", "a file"}));
    EXPECT_TRUE(fails_with([&] { read_dataset(folder_.path()); }, {"f.csv", "no rows"}));
}

TEST_F(Cas2023Test, ClassesAndCitiesAreInTheChallengesOrder) {
    add_files({"a.wav"});
    const Dataset dataset = read("filename,scene_label\na,Bus\n");
    EXPECT_EQ(dataset.classes,
              (std::vector<std::string>{"Bus", "Airport", "Metro", "Restaurant", "Shopping mall", "Public square",
                                        "Urban park", "Traffic street", "Construction site", "Bar"}));
    EXPECT_EQ(dataset.cities,
              (std::vector<std::string>{"Xi'an",   "Xianyang",   "Changchun", "Jinan",     "Hefei",     "Sanya",
                                        "Nanning", "Haikou",     "Guilin",    "Guangzhou", "Chongqing", "Shenyang",
                                        "Beijing", "Baishan",    "Taiyuan",   "Tianjin",   "Nanchang",  "Shanghai",
                                        "Luoyang", "Liupanshui", "Shangrao",  "Dandong"}));
}

TEST_F(Cas2023Test, SpellingsAreFoldedAndSessionsAreCityAndTime) {
    add_files({"a.wav", "b.wav", "c.wav", "d.wav"});
    const Dataset dataset = read("filename,location,record_time,scene_label\n"
                                 "a,XIAN,2023-06-18 18:44:34,traffic-street\n"
                                 "b,xi\xE2\x80\x99"
                                 "an,2023-06-18 18:44:34,Traffic street\n"
                                 "c,Xi'an,2023-06-18 18:44:35,BAR\n"
                                 "d,Hefei,,Bar\n");
    for (const size_t clip : {0, 1, 2}) EXPECT_EQ(dataset.clips[clip].city, "Xi'an");
    EXPECT_EQ(dataset.clips[0].session, dataset.clips[1].session);
    EXPECT_NE(dataset.clips[0].session, dataset.clips[2].session);
    EXPECT_EQ(dataset.clips[3].session, "") << "a city alone is no session";
    EXPECT_EQ(dataset.clips[0].label, 7);
    EXPECT_EQ(dataset.clips[1].label, 7);
    EXPECT_EQ(dataset.clips[2].line, 4u);
    EXPECT_EQ(dataset.source, folder_ / "meta.csv");
}

TEST_F(TableTest, AudioIsLookedForWhereTheCellCanMean) {
    add_files(
        {"beside.wav", "audio/in.wav", "audio/abs.wav", "meta/x", "above.wav", "other/sub/deep.wav", "other/flat.wav"});
    const Dataset dataset = read("file,label\n../beside.wav,x\n" + (folder_ / "audio/abs.wav").string() + ",x\n" +
                                     "in.wav,x\nabove.wav,x\n",
                                 {}, "meta/table.csv");
    EXPECT_EQ(dataset.clips[0].file, folder_ / "beside.wav");
    EXPECT_EQ(dataset.clips[1].file, folder_ / "audio/abs.wav");
    EXPECT_EQ(dataset.clips[2].file, folder_ / "audio/in.wav") << "in the folder audio above the table";
    EXPECT_EQ(dataset.clips[3].file, folder_ / "above.wav");
    const Dataset elsewhere =
        read("file\nsub/deep.wav\nwhere/ever/flat.wav\n", {.audio = folder_ / "other"}, "meta/table.csv");
    EXPECT_EQ(elsewhere.clips[0].file, folder_ / "other/sub/deep.wav");
    EXPECT_EQ(elsewhere.clips[1].file, folder_ / "other/flat.wav") << "a name alone is enough";
    EXPECT_TRUE(
        rejects("file\nabove.wav\n", {"no audio file in", "other", "row 2 'above.wav'"}, {.audio = folder_ / "other"}));
}

TEST_F(TableTest, ColumnsOfTheirOwnNameNeedNoMention) {
    add_files({"a.wav", "b.wav"});
    const Dataset dataset = read("device,session,fold,time,city,label,file\n"
                                 "p1,t1,0,2023-06-18,Oslo,rain,a.wav\np2,t2,12,2023-06-19 01:02,Bergen,sun,b.wav\n");
    const Clip &one = dataset.clips[0], &two = dataset.clips[1];
    EXPECT_EQ(dataset.classes, (std::vector<std::string>{"rain", "sun"}));
    EXPECT_EQ(dataset.cities, (std::vector<std::string>{"Bergen", "Oslo"}));
    EXPECT_EQ(one.device + one.session + one.city, "p1t1Oslo");
    EXPECT_EQ(two.device + two.session + two.city, "p2t2Bergen");
    EXPECT_EQ(one.fold, 0);
    EXPECT_EQ(two.fold, 12);
    EXPECT_EQ(one.label, 0);
    EXPECT_EQ(two.label, 1);
    EXPECT_EQ(dataset.city_index(two.city), 0);
    EXPECT_EQ(two.time, (RecordTime{2023, 6, 19, 1, 2, 0}));
}

TEST_F(FolderTest, SpellingsHiddenFilesAndGivenClasses) {
    add_files({"rain/.b.wav", "rain/c.wav", "unlabeled/u.wav", "Sun/s.wav"});
    const Dataset dataset = read_dataset(folder_.path(), {.classes = {"rain", "Sun"}});
    ASSERT_EQ(dataset.clips.size(), 3u);
    EXPECT_EQ(dataset.classes, (std::vector<std::string>{"rain", "Sun"}));
    std::map<std::string, int> labels;
    for (const Clip& clip : dataset.clips) labels[clip.name] = clip.label;
    EXPECT_EQ(labels, (std::map<std::string, int>{{"Sun/s.wav", 1}, {"rain/c.wav", 0}, {"unlabeled/u.wav", -1}}));
    EXPECT_EQ(dataset.clips[0].file, folder_ / "Sun/s.wav");
    EXPECT_EQ(dataset.source, folder_.path());
}

} // namespace
} // namespace scene
