// scene synth and scene prepare as a user meets them: bad clips, interruption, other layouts.

#include <algorithm>

#include <fmt/format.h>

#include "kernels/json.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A folder per class with real clips, as a user's own data may lie: clip0 to clip<count - 1>, in turns.
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
