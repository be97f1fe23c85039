// scene predict on good and bad files, in every format.

#include <algorithm>

#include <fmt/format.h>

#include "kernels/json.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Files {
    std::string checkpoint, first, second;
};

Files files() {
    const SmallRun& small = small_run();
    std::vector<std::string> clips;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(small.audio))
        if (entry.path().extension() == ".wav") clips.push_back(entry.path());
    std::sort(clips.begin(), clips.end());
    return {fs::path(small.run) / "best_model_2.safetensors", clips.at(0), clips.at(1)};
}

TEST(Predict, OneLinePerFileInTheirOrder) {
    const Files f = files();
    const Outcome outcome = scene_command({"predict", f.checkpoint, f.second, f.first, "--quiet"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(outcome.out.starts_with(f.second + ": ")) << outcome.out;
    EXPECT_NE(outcome.out.find("\n" + f.first + ": "), std::string::npos) << outcome.out;
    EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
}

TEST(Predict, JsonHasRankedConfidences) {
    const Files f = files();
    const Outcome outcome = scene_command({"predict", f.checkpoint, f.first, f.second, "--json", "--top", "10"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json all = parse_json(outcome.out);
    ASSERT_EQ(all.size(), 2u);
    for (const json& one : all) {
        ASSERT_EQ(one.at("top").size(), 10u);
        EXPECT_EQ(one.at("label"), one.at("top").at(0).at("label"));
        double sum = 0, last = 1;
        for (const json& entry : one.at("top")) {
            const double confidence = entry.at("confidence");
            EXPECT_LE(confidence, last);
            last = confidence;
            sum += confidence;
        }
        EXPECT_NEAR(sum, 1, 1e-5);
    }
}

TEST(Predict, FormatsAgree) {
    const Files f = files();
    const json wanted = parse_json(scene_command({"predict", f.checkpoint, f.first, "--json"}).out).at(0);
    const Outcome lines = scene_command({"predict", f.checkpoint, f.first, "--format", "jsonl"});
    EXPECT_EQ(parse_json(lines.out), wanted);
    const Outcome csv = scene_command({"predict", f.checkpoint, f.first, "--format", "csv", "--top", "1"});
    EXPECT_EQ(csv.out, fmt::format("file,label,confidence\n{},{},{:.6f}\n", f.first,
                                   wanted.at("label").get<std::string>(), wanted.at("confidence").get<double>()));
}

TEST(Predict, AnswersDoNotDependOnTheOtherFilesOfTheCall) {
    const Files f = files();
    const json alone = parse_json(scene_command({"predict", f.checkpoint, f.first, "--json"}).out).at(0);
    const json folder = parse_json(scene_command({"predict", f.checkpoint, small_run().audio, "--json"}).out);
    EXPECT_EQ(folder.size(), SmallRun::clips);
    const auto found =
        std::find_if(folder.begin(), folder.end(), [&](const json& one) { return one.at("file") == f.first; });
    ASSERT_NE(found, folder.end());
    EXPECT_EQ(found->at("label"), alone.at("label"));
    EXPECT_NEAR(found->at("confidence").get<double>(), alone.at("confidence").get<double>(), 1e-5);
}

TEST(Predict, ABadFileIsOneLineAndTheOthersGoOn) {
    const Files f = files();
    const TemporaryFolder folder;
    write_text(folder / "bad.wav", "RIFF but no more");
    const Outcome outcome =
        scene_command({"predict", f.checkpoint, folder / "bad.wav", f.first, "--quiet", "--format", "jsonl"});
    EXPECT_TRUE(fails_with(outcome, 1, "bad.wav"));
    EXPECT_EQ(parse_json(outcome.out).at("file"), f.first);
    EXPECT_TRUE(fails_with(scene_command({"predict", f.checkpoint, folder / "none.wav", "--quiet"}), 1, "none.wav"));
}

TEST(Predict, PlaceAndTimeAreCheckedAgainstTheModel) {
    const Files f = files();
    const auto with = [&](const std::string& flag, const std::string& value) {
        return scene_command({"predict", f.checkpoint, f.first, flag, value, "--quiet"});
    };
    EXPECT_TRUE(fails_with(with("--city", "Atlantis"), 1, "Atlantis"));
    EXPECT_TRUE(fails_with(with("--time", "yesterday"), 1, "yesterday"));
    EXPECT_EQ(with("--city", "Beijing").status, 0);
    EXPECT_EQ(with("--time", "2023-04-15 13:30:00").status, 0);
}

TEST(Predict, AWrongCheckpointIsOneLine) {
    const Files f = files();
    EXPECT_TRUE(fails_with(scene_command({"predict", f.first, f.second}), 1, f.first));
    EXPECT_TRUE(fails_with(scene_command({"predict", small_run().store, f.second, "--quiet"}), 1, "store.safetensors"));
}

} // namespace
} // namespace scene::test
