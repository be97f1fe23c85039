// scene predict on good and bad files, in every format.

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "kernels/files/json.h"
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
    const std::string bad = folder / "bad.wav";
    write_text(bad, "RIFF but no more");
    const auto with = [&](const std::vector<std::string>& format) {
        std::vector<std::string> arguments = {"predict", f.checkpoint, bad, f.first, "--quiet", "--top", "1"};
        arguments.insert(arguments.end(), format.begin(), format.end());
        const Outcome outcome = scene_command(arguments);
        EXPECT_TRUE(fails_with(outcome, 1, "bad.wav"));
        return outcome.out;
    };
    const json all = parse_json(with({"--json"}));
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all.at(0).at("file"), bad);
    EXPECT_NE(all.at(0).at("error").get<std::string>().find("bad.wav"), std::string::npos);
    EXPECT_EQ(all.at(1).at("file"), f.first);
    const std::string lines = with({"--format", "jsonl"});
    const size_t end = lines.find('\n');
    EXPECT_EQ(parse_json(lines.substr(0, end)), all.at(0));
    EXPECT_EQ(parse_json(lines.substr(end)), all.at(1));
    const std::string csv = with({"--format", "csv"});
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 2) << "a header and a row: " << csv;
    EXPECT_EQ(csv.find("bad.wav"), std::string::npos);
    EXPECT_TRUE(fails_with(scene_command({"predict", f.checkpoint, folder / "none.wav", "--quiet"}), 1, "none.wav"));
}

TEST(Predict, TakesARunAndSaysWhatWasLeftOut) {
    const Files f = files();
    const Outcome file = scene_command({"predict", f.checkpoint, f.first});
    const Outcome run = scene_command({"predict", small_run().run, f.first, "--city", "Beijing"});
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(scene_command({"predict", small_run().run, f.first, "--quiet"}).out, file.out);
    EXPECT_NE(file.err.find("neither --city nor --time"), std::string::npos) << file.err;
    EXPECT_EQ(run.err.find("neither --city nor --time"), std::string::npos) << run.err;
    EXPECT_TRUE(fails_with(scene_command({"predict", small_run().audio, f.first, "--quiet"}), 1, "train first"));
}

/// One note for all files that are longer (the clip twice), one for all that end before their header says.
TEST(Predict, WhatFilesHaveInCommonIsALineARun) {
    const Files f = files();
    const TemporaryFolder folder;
    const std::string whole = read_text(f.first), samples = whole.substr(44);
    std::string stream = whole;
    stream.replace(4, 4, "\xff\xff\xff\x7f").replace(40, 4, std::string("\0\xf0\xff\x7f", 4));
    for (const char* name : {"a.wav", "b.wav"}) write_text(folder / name, stream + samples);
    write_text(folder / "c.wav", stream);
    const Outcome outcome = scene_command({"predict", f.checkpoint, folder / "", "--city", "Beijing"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("scene: 2 of 3 files are longer than the 1 s that are heard"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("scene: 3 of 3 files end before"), std::string::npos) << outcome.err;
    const std::string answer = scene_command({"predict", f.checkpoint, f.first, "--city", "Beijing"}).out;
    EXPECT_NE(outcome.out.find(answer.substr(f.first.size())), std::string::npos);
}

/// Whenever a signal comes, no row is left unfinished.
TEST(Predict, InterruptedItEndsAfterAWholeRow) {
    const Files f = files();
    for (const std::string format : {"--json", "--format=jsonl"})
        for (int moment : {1, 20, 100}) {
            std::vector<std::string> arguments = {"predict", f.checkpoint, format, "--quiet"};
            for (int i = 0; i < 400; ++i) arguments.push_back(f.first);
            Command command(arguments);
            int asked = 0;
            const bool interrupted = command.interrupt_while([&] { return ++asked > moment; });
            const Outcome outcome = command.wait();
            EXPECT_EQ(outcome.status, interrupted ? 130 : 0) << outcome.err;
            // A signal in the first milliseconds, before the handler is installed, leaves no output.
            if (outcome.out.empty()) continue;
            if (format == "--json") {
                EXPECT_TRUE(parse_json(outcome.out).is_array());
            } else {
                EXPECT_TRUE(outcome.out.ends_with("}\n"));
            }
        }
}

/// The file with a NaN in `tensor`, and without its checksum, like the file of another program.
std::string with_nan(const std::string& file, const std::string& tensor) {
    std::string bytes = read_text(file);
    const size_t sum = bytes.find("\"crc32c\"");
    if (sum != std::string::npos) bytes[sum + 1] = 'x';
    uint64_t head = 0;
    std::memcpy(&head, bytes.data(), 8);
    const json header = parse_json(bytes.substr(8, head));
    const auto offset = header.at(tensor).at("data_offsets").at(0).get<size_t>();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(bytes.data() + 8 + head + offset, &nan, sizeof nan);
    return bytes;
}

TEST(Predict, ValuesThatAreNoNumbersAreNamed) {
    const Files f = files();
    const TemporaryFolder folder;
    std::string tensor;
    const std::string bytes = read_text(f.checkpoint);
    uint64_t head = 0;
    std::memcpy(&head, bytes.data(), 8);
    const json header = parse_json(bytes.substr(8, head));
    for (const auto& [name, entry] : header.items())
        if (name != "__metadata__") tensor = name;
    const std::string model = folder / "nan.safetensors", store = folder / "nan.store";
    write_text(model, with_nan(f.checkpoint, tensor));
    EXPECT_TRUE(fails_with(scene_command({"predict", model, f.first, "--quiet"}), 1, "nan.safetensors: '" + tensor));
    EXPECT_TRUE(fails_with(scene_command({"evaluate", model, small_run().store, "--quiet"}), 1, "nan.safetensors"));

    write_text(store, with_nan(small_run().store, "logmel"));
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"train", store, "--config", small_run().config, "--run", folder / "run", "--quiet"},
          {"evaluate", f.checkpoint, store, "--quiet"},
          {"table1", store, "--run", folder / "table", "--quiet"}})
        EXPECT_TRUE(fails_with(scene_command(arguments), 1, "1 of 60 clips have NaN or infinite features ("));
    const json audit = parse_json(scene_command({"audit", store, "--json", "--quiet"}).out).at("audio");
    ASSERT_EQ(audit.at("not_numbers").size(), 1u);
    EXPECT_EQ(audit.at("not_numbers").at(0).at("reason"), "NaN");
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
