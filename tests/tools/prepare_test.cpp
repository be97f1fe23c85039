// scene synth and scene prepare as a user meets them: bad clips, interruption, other layouts.

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "kernels/files/json.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A folder per class, with links to clips of the small run: clip0 to clip<count - 1>, to the classes in turn.
void link_as_folders(const SmallRun& small, const TemporaryFolder& target, size_t count) {
    std::vector<fs::path> clips;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(small.audio))
        if (entry.path().extension() == ".wav") clips.push_back(entry.path());
    std::sort(clips.begin(), clips.end());
    ASSERT_FALSE(clips.empty());
    for (size_t i = 0; i < count; ++i) {
        const fs::path folder = target / (i % 2 ? "rain" : "street");
        fs::create_directories(folder);
        fs::create_hard_link(clips[i % clips.size()], folder / fmt::format("clip{}.wav", i));
    }
}

TEST(Synth, WritesTheClipsAndSaysSo) {
    const SmallRun& small = small_run();
    size_t clips = 0;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(small.audio))
        clips += entry.path().extension() == ".wav";
    EXPECT_EQ(clips, SmallRun::clips);
}

/// Each option alone against the same dataset without it.
TEST(Synth, EveryOptionReachesTheDataset) {
    const TemporaryFolder folder;
    const auto made = [&](const std::string& name, const std::vector<std::string>& more) {
        std::vector<std::string> arguments = {"synth",     folder / name, "--clips", "20",
                                              "--seconds", "0.5",         "--json",  "--quiet"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = scene_command(arguments);
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        return parse_json(outcome.out);
    };
    const auto waves = [&](const std::string& name) {
        std::map<std::string, std::string> out;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder / (name + "/audio")))
            out[entry.path().filename().string()] = read_text(entry.path());
        return out;
    };
    const json usual = made("usual", {});
    EXPECT_EQ(usual.at("clips"), 20);
    EXPECT_EQ(usual.at("labelled"), 0) << "a fifth of the two of each scene, rounded";
    EXPECT_EQ(usual.at("sessions"), 10);
    const auto before = waves("usual");
    const std::string metadata = read_text(folder / "usual/metadata.csv");
    for (const char* option : {"--difficulty", "--session-effect"}) {
        made(option, {option, "2"});
        const auto after = waves(option);
        ASSERT_EQ(after.size(), 20u);
        for (const auto& [name, wave] : after) EXPECT_NE(wave, before.at(name)) << option;
        EXPECT_EQ(read_text(folder / (std::string(option) + "/metadata.csv")), metadata) << option;
    }
    EXPECT_EQ(made("labelled", {"--labelled", "0.5"}).at("labelled"), 10);
    EXPECT_EQ(made("sessions", {"--clips-per-session", "1"}).at("sessions"), 20);
    made("seed", {"--seed", "5"});
    EXPECT_NE(read_text(folder / "seed/metadata.csv"), metadata);
}

TEST(Synth, ImpossibleRequestsAreErrors) {
    const TemporaryFolder folder;
    EXPECT_TRUE(fails_with(scene_command({"synth", folder / "a", "--clips", "0"}), 2, "--clips"));
    EXPECT_TRUE(
        fails_with(scene_command({"synth", folder / "a", "--clips", "20", "--labelled", "2"}), 2, "--labelled"));
    EXPECT_TRUE(fails_with(scene_command({"synth", "/proc/a", "--clips", "20"}), 1, "/proc/a"));
}

TEST(Prepare, ReportsTheStoreAsJson) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const Outcome outcome = scene_command(small.prepare(small.audio, folder / "s", {"--json"}));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json report = parse_json(outcome.out);
    EXPECT_EQ(report.at("clips"), SmallRun::clips);
    EXPECT_TRUE(report.at("bad").empty());
    EXPECT_EQ(read_text(folder / "s"), read_text(small.store));
}

TEST(Prepare, BadClipsAreListedAndStopItUnlessSkipped) {
    const TemporaryFolder data, out;
    link_as_folders(small_run(), data, 4);
    write_text(data / "rain" / "broken.wav", "this is not audio");
    write_text(data / "street" / "empty.wav", "");
    const Outcome strict = scene_command({"prepare", data.path(), out / "s", "--quiet"});
    EXPECT_TRUE(fails_with(strict, 1, "2"));
    EXPECT_FALSE(fs::exists(out / "s"));
    const std::string list = read_text(out / "s.bad.csv");
    EXPECT_NE(list.find("broken.wav"), std::string::npos) << list;
    EXPECT_NE(list.find("empty.wav"), std::string::npos) << list;
    const Outcome skipping = scene_command({"prepare", data.path(), out / "s", "--skip-bad", "--json", "--quiet"});
    ASSERT_EQ(skipping.status, 0) << skipping.err;
    const json report = parse_json(skipping.out);
    EXPECT_EQ(report.at("clips"), 4);
    EXPECT_EQ(report.at("bad").size(), 2u);
    EXPECT_TRUE(fs::exists(out / "s"));
}

TEST(Prepare, ReadsAUsersOwnTableWithNamedColumns) {
    const TemporaryFolder data, out;
    link_as_folders(small_run(), data, 4);
    write_text(data / "mine.csv", "path,scene\nstreet/clip0.wav,street\nrain/clip1.wav,rain\nstreet/clip2.wav,\n");
    const std::vector<std::string> arguments = {"prepare",     data / "mine.csv", out / "s",   "--format",
                                                "csv",         "--column",        "file=path", "--column",
                                                "label=scene", "--json",          "--quiet"};
    const Outcome outcome = scene_command(arguments);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(parse_json(outcome.out).at("clips"), 3);
    EXPECT_TRUE(
        fails_with(scene_command({"prepare", data / "mine.csv", out / "t", "--column", "file"}), 2, "--column"));
}

TEST(Prepare, SkipBadSkipsRowsWhoseFileIsMissing) {
    const TemporaryFolder data, out;
    link_as_folders(small_run(), data, 4);
    write_text(data / "mine.csv", "file,label\nstreet/clip0.wav,street\nrain/gone.wav,rain\nrain/clip1.wav,rain\n");
    const std::vector<std::string> arguments = {"prepare", data / "mine.csv", out / "s", "--quiet"};
    EXPECT_TRUE(fails_with(scene_command(arguments), 1, "row 3 'rain/gone.wav'"));
    EXPECT_FALSE(fs::exists(out / "s.bad.csv")) << "nothing is begun";
    std::vector<std::string> skipping = arguments;
    skipping.insert(skipping.end(), {"--skip-bad", "--json"});
    const Outcome outcome = scene_command(skipping);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json report = parse_json(outcome.out);
    EXPECT_EQ(report.at("clips"), 2);
    EXPECT_EQ(report.at("bad").at(0).at("file"), "rain/gone.wav");
    EXPECT_EQ(read_text(out / "s.bad.csv").find("file,row,reason\nrain/gone.wav,3,"), 0u)
        << read_text(out / "s.bad.csv");
}

TEST(Prepare, ClassListsMayHoldCommasAndComeFromAFile) {
    const TemporaryFolder data, out;
    link_as_folders(small_run(), data, 2);
    write_text(data / "mine.csv", "file,label\nstreet/clip0.wav,\"street, wet\"\nrain/clip1.wav,rain\n");
    write_text(data / "classes.txt", "street, wet\r\n\r\n rain \r\n");
    const auto with = [&](const std::string& classes) {
        return scene_command({"prepare", data / "mine.csv", out / "s", "--quiet", "--classes", classes});
    };
    for (const std::string& classes : {std::string("\"street, wet\", rain"), "@" + (data / "classes.txt").string()}) {
        const Outcome outcome = with(classes);
        ASSERT_EQ(outcome.status, 0) << outcome.err;
        EXPECT_NE(read_text(out / "s").substr(0, 4096).find(R"([\"street, wet\",\"rain\"])"), std::string::npos);
    }
    EXPECT_TRUE(fails_with(with("rain,,street"), 1, "a name is empty"));
    EXPECT_TRUE(fails_with(with("rain, rain "), 1, "'rain' stands twice"));
    EXPECT_TRUE(fails_with(with("a,b"), 1, "unknown label 'street, wet'"));
    EXPECT_TRUE(fails_with(with("@" + (data / "none.txt").string()), 1, "none.txt"));
    EXPECT_TRUE(fails_with(with(""), 2, "--classes"));
    EXPECT_TRUE(fails_with(with(" , "), 2, "--classes"));
}

TEST(Prepare, SaysWhatIsOddAboutADatasetUnlessQuiet) {
    const TemporaryFolder data, out;
    link_as_folders(small_run(), data, 2);
    write_text(data / "rain/notes.txt", "");
    const std::vector<std::string> arguments = {"prepare", data.path(), out / "s"};
    EXPECT_NE(scene_command(arguments).err.find("scene: 1 file is no audio and was left out: 1 .txt\n"),
              std::string::npos);
    std::vector<std::string> quiet = arguments;
    quiet.push_back("--quiet");
    EXPECT_EQ(scene_command(quiet).err, "");
    EXPECT_NE(scene_command({"audit", data.path(), "--split", "experiment"}).err.find("left out: 1 .txt"),
              std::string::npos);
}

/// A store begins with its settings as text.
TEST(Prepare, EveryOptionReachesTheStore) {
    const TemporaryFolder data, out;
    link_as_folders(small_run(), data, 4); // clips of 1 s
    write_text(out / "table.csv", "file,label\nstreet/clip0.wav,street\nrain/clip1.wav,rain\n");
    const auto store = [&](const std::vector<std::string>& more) {
        std::vector<std::string> arguments = {"prepare", out / "table.csv", out / "s",
                                              "--quiet", "--audio",         data.path()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = scene_command(arguments);
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        return read_text(out / "s");
    };
    const auto has = [](const std::string& text, const std::string& part) {
        return text.substr(0, 4096).find(part) != std::string::npos;
    };
    const std::string two = store({"--seconds", "2"}), zero = store({"--seconds", "2", "--fit", "zero"}),
                      three = store({"--seconds", "3", "--classes", "street,rain,bus"});
    EXPECT_TRUE(has(two, R"("fit":"loop")") && has(two, R"(\"samples\":88200)")) << two.substr(0, 1000);
    EXPECT_TRUE(has(two, R"([\"rain\",\"street\"])"));
    EXPECT_TRUE(has(zero, R"("fit":"zero")") && has(zero, R"(\"samples\":88200)"));
    EXPECT_NE(two.substr(4096), zero.substr(4096)) << "the second second";
    EXPECT_TRUE(has(three, R"([\"street\",\"rain\",\"bus\"])") && has(three, R"(\"samples\":132300)"));
}

TEST(Prepare, AnUnwritablePlaceIsOneLine) {
    const SmallRun& small = small_run();
    EXPECT_TRUE(fails_with(scene_command({"prepare", small.audio, "/proc/store", "--quiet"}), 1, "/proc/store"));
}

TEST(Prepare, CtrlCThenTheSameCommandGivesTheSameBytes) {
    const TemporaryFolder data, out;
    const SmallRun& small = small_run();
    link_as_folders(small, data, 224);
    const int chunks = 7;
    const std::string whole = out / "whole", store = out / "interrupted";
    ASSERT_EQ(scene_command(small.prepare(data.path(), whole, {"--quiet"})).status, 0);
    const auto in_the_middle = [&] { // one line for the settings, one for every chunk; two chunks are still to begin
        const std::string journal = read_text(store + ".partial.journal");
        const auto lines = std::count(journal.begin(), journal.end(), '\n');
        return lines >= 2 && lines <= chunks - 1;
    };
    Outcome interrupted;
    for (bool caught = false; !caught;) {
        fs::remove(store);
        Command command(small.prepare(data.path(), store, {"--threads", "1", "--quiet"}));
        caught = command.interrupt_while(in_the_middle);
        interrupted = command.wait();
        ASSERT_TRUE(caught || interrupted.status == 0) << interrupted.err;
    }
    EXPECT_TRUE(fails_with(interrupted, 130, "same command"));
    EXPECT_FALSE(fs::exists(store));
    const Outcome resumed = scene_command(small.prepare(data.path(), store, {"--json", "--quiet"}));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_GT(parse_json(resumed.out).at("resumed").get<int>(), 0);
    EXPECT_EQ(read_text(store), read_text(whole));
}

} // namespace
} // namespace scene::test
