// prepare and predict find the same files in a folder.

#include <algorithm>

#include "kernels/files/json.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;

TEST(Folders, PrepareAndPredictFindTheSameFiles) {
    const SmallRun& small = small_run();
    std::vector<fs::path> clips;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(small.audio))
        if (entry.path().extension() == ".wav") clips.push_back(entry.path());
    std::sort(clips.begin(), clips.end());
    const TemporaryFolder data, out;
    const std::vector<std::string> names = {"rain/a.WAV", "rain/linked/b.aiff", "tone/deep/c.mp3"};
    for (const std::string& name : names) write_text(data / name, ""); // empty: an error shows that it was found
    fs::remove(data / "rain/linked/b.aiff");
    fs::remove(data / "rain/linked");
    fs::create_directories(out / "elsewhere");
    fs::copy_file(clips.at(0), out / "elsewhere/b.aiff"); // a WAV: libsndfile goes by the content
    fs::create_directory_symlink(out / "elsewhere", data / "rain/linked");
    fs::copy_file(clips.at(1), data / "rain/a.WAV", fs::copy_options::overwrite_existing);
    fs::create_directory_symlink("..", data / "rain/loop");
    for (const std::string other :
         {"rain/._a.WAV", "__MACOSX/rain/._a.WAV", "tone/c.txt", "tone/d.wav.part", ".git/e.wav"})
        write_text(data / other, "");

    const Outcome prepared = scene_command({"prepare", data.path(), out / "s", "--skip-bad", "--json"});
    ASSERT_EQ(prepared.status, 0) << prepared.err;
    const nlohmann::json report = parse_json(prepared.out);
    EXPECT_EQ(report.at("clips"), 2);
    ASSERT_EQ(report.at("bad").size(), 1u);
    EXPECT_EQ(report.at("bad").at(0).at("file"), (data / "tone/deep/c.mp3").string()) << "found, and empty";

    const std::string checkpoint = fs::path(small.run) / "best_model_2.safetensors";
    const Outcome predicted = scene_command({"predict", checkpoint, data.path()});
    EXPECT_EQ(predicted.status, 1);
    EXPECT_NE(predicted.err.find("scene: " + (data / "tone/deep/c.mp3").string() + ": is empty"), std::string::npos)
        << predicted.err;
    EXPECT_EQ(std::count(predicted.out.begin(), predicted.out.end(), '\n'), 2) << predicted.out;
    for (const std::string& good : {names[0], names[1]})
        EXPECT_NE(predicted.out.find((data / good).string() + ": "), std::string::npos) << predicted.out;
    const std::string left_out = "scene: 2 files are no audio and were left out: 1 .part, 1 .txt\n";
    EXPECT_NE(prepared.err.find(left_out), std::string::npos) << prepared.err;
    EXPECT_NE(predicted.err.find(left_out), std::string::npos) << predicted.err;
}

TEST(Folders, WithoutAudioTheyAreOneLine) {
    const TemporaryFolder data;
    write_text(data / "notes/x.txt", "");
    const std::string checkpoint = fs::path(small_run().run) / "best_model_2.safetensors";
    EXPECT_TRUE(fails_with(scene_command({"predict", checkpoint, data.path()}), 1, "left out: 1 .txt"));
    EXPECT_TRUE(fails_with(scene_command({"prepare", data.path(), data / "s"}), 1, "no dataset here"));
}

} // namespace
} // namespace scene::test
