// scene audit as a user meets it.

#include <cmath>

#include "kernels/files/json.h"
#include "tests/support/shared_data.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json audit_json(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "audit");
    arguments.insert(arguments.end(), {"--json", "--quiet"});
    const Outcome outcome = scene_command(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return parse_json(outcome.out);
}

/// Metadata of 8 sessions of one scene each, in which every session has 4 clips; no audio.
fs::path write_metadata(const TemporaryFolder& folder) {
    std::string text = "file,label,city,time,session\n";
    for (int clip = 0; clip < 32; ++clip) {
        const int session = clip / 4;
        text += "clip" + std::to_string(clip) + (session % 2 ? ".wav,rain," : ".wav,street,") +
                (session % 4 < 2 ? "Hefei" : "Jinan") + ",2023-06-1" + std::to_string(session) + " 12:00:00,s" +
                std::to_string(session) + "\n";
    }
    write_text(folder / "clips.csv", text);
    return folder / "clips.csv";
}

TEST(Audit, ASessionSplitDoesNotLeakAndARandomOneDoes) {
    const TemporaryFolder folder;
    const std::string metadata = write_metadata(folder);
    const json random = audit_json({metadata, "--split", "simulation", "--seed", "3"});
    EXPECT_EQ(random.at("sessions"), 8);
    EXPECT_EQ(random.at("labelled_sessions"), 8);
    EXPECT_EQ(random.at("pure_sessions"), 8);
    EXPECT_GT(random.at("leaked_share").get<double>(), 0.5);
    EXPECT_GT(random.at("metadata_only").at("session").at("balanced_accuracy").get<double>(), 0.7);
    EXPECT_EQ(random.at("counts").at("classes").at("rain").at("test"), 8);
    EXPECT_EQ(random.at("counts").at("sessions").at("s7").at("clips"), 4);
    EXPECT_TRUE(random.at("audio").is_null());
    const json grouped = audit_json({metadata, "--split", "session", "--test-share", "0.25"});
    EXPECT_EQ(grouped.at("leaked_share"), 0.0);
    EXPECT_EQ(grouped.at("leaked").at("session").at("any"), 0.0);
    EXPECT_EQ(grouped.at("metadata_only").at("session").at("balanced_accuracy"), 0.0);
    EXPECT_EQ(grouped.at("metadata_only").at("session").at("with_majority"), 0.5);
    EXPECT_EQ(grouped.at("counts").at("total").at("test"), 8);
    const json city = audit_json({metadata, "--split", "city", "--cities", "Jinan"});
    EXPECT_EQ(city.at("leaked").at("city").at("any"), 0.0);
    EXPECT_EQ(city.at("counts").at("cities").at("Jinan").at("test"), 16);
}

TEST(Audit, SeveralSeedsGiveMeanAndDeviation) {
    const TemporaryFolder folder;
    const std::string metadata = write_metadata(folder);
    const json one = audit_json({metadata, "--seed", "10"}), two = audit_json({metadata, "--seed", "11"});
    const json both = audit_json({metadata, "--seed", "10", "--seeds", "2"});
    const auto score = [](const json& report) {
        return report.at("metadata_only").at("session").at("balanced_accuracy").get<double>();
    };
    EXPECT_NEAR(score(both), (score(one) + score(two)) / 2, 1e-12);
    EXPECT_NEAR(both.at("metadata_only").at("session").at("deviation").get<double>(),
                std::abs(score(one) - score(two)) / std::sqrt(2.0), 1e-12);
    EXPECT_TRUE(one.at("metadata_only").at("session").at("deviation").is_null());
    EXPECT_EQ(both.at("split").at("seeds"), (json{10, 11}));
}

TEST(Audit, OfficialListsAreTaken) {
    const TemporaryFolder folder;
    const std::string metadata = write_metadata(folder);
    write_text(folder / "train.txt", "clip0.wav\nclip4.wav\nclip5.wav\n");
    write_text(folder / "test.txt", "filename\nclip8.wav\nclip6.wav\n");
    const json report = audit_json(
        {metadata, "--split", "official", "--train-list", folder / "train.txt", "--test-list", folder / "test.txt"});
    EXPECT_EQ(report.at("counts").at("total").at("train_labelled"), 3);
    EXPECT_EQ(report.at("leaked_share"), 0.5);
}

TEST(Audit, ATableForPeople) {
    const TemporaryFolder folder;
    const Outcome outcome = scene_command({"audit", write_metadata(folder), "--split", "session", "--quiet"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    for (const char* part : {"8 sessions", "Split session", "rain", "Hefei", "left out", "city + date + hour",
                             "balanced accuracy", "Audio: not checked"})
        EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
}

TEST(Audit, ReadsStoresAndTheAudioBesideMetadata) {
    const SmallRun& small = small_run();
    const json store = audit_json({small.store});
    EXPECT_EQ(store.at("counts").at("total").at("clips"), SmallRun::clips);
    EXPECT_EQ(store.at("audio").at("from"), "store");
    EXPECT_TRUE(store.at("audio").at("missing").is_null());
    EXPECT_EQ(store.at("audio").at("duplicates").size(), 0u);
    const json dataset = audit_json({small.audio});
    EXPECT_EQ(dataset.at("audio").at("from"), "files");
    EXPECT_EQ(dataset.at("audio").at("checked"), SmallRun::clips);
    EXPECT_EQ(dataset.at("audio").at("missing").size(), 0u);
    EXPECT_EQ(dataset.at("audio").at("short").size(), SmallRun::clips); // made 1 s long
    for (const char* part : {"sessions", "metadata_only", "leaked", "counts"})
        EXPECT_EQ(store.at(part), dataset.at(part)) << part;
    EXPECT_TRUE(audit_json({small.audio, "--no-audio"}).at("audio").is_null());
}

TEST(Audit, ImpossibleSplitsAndWrongArgumentsAreOneLine) {
    const TemporaryFolder folder;
    const std::string metadata = write_metadata(folder);
    const auto refused = [&](const std::vector<std::string>& more, int status, const std::string& part) {
        std::vector<std::string> arguments = {"audit", metadata};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return fails_with(scene_command(arguments), status, part);
    };
    EXPECT_TRUE(refused({"--split", "random"}, 1, "session, city, official"));
    EXPECT_TRUE(refused({"--split", "official"}, 1, "--train-list"));
    EXPECT_TRUE(refused({"--split", "city", "--cities", "Hefei,Jinan"}, 1, "none is left to train"));
    EXPECT_TRUE(refused({"--split", "session", "--cities", "Hefei"}, 2, "--cities"));
    EXPECT_TRUE(refused({"--test-share", "0.3"}, 2, "--test-share"));
    EXPECT_TRUE(refused({"--seeds", "0"}, 2, "--seeds"));
    write_text(folder / "plain.csv", "file,label\na.wav,x\nb.wav,y\nc.wav,x\nd.wav,y\n");
    EXPECT_TRUE(fails_with(scene_command({"audit", folder / "plain.csv", "--split", "session"}), 1, "has a session"));
    EXPECT_TRUE(fails_with(scene_command({"audit", folder / "none.csv"}), 1, "none.csv"));
}

TEST(Audit, FindsTheLeakInTheRealMetadata) {
    const fs::path real = shared_data() / "cas2023/dev_metadata.csv";
    if (!fs::exists(real)) GTEST_SKIP() << real << " is not there";
    const json report = audit_json({real, "--split", "simulation", "--seeds", "20"});
    EXPECT_EQ(report.at("sessions"), 328);
    EXPECT_EQ(report.at("labelled_sessions"), 309);
    EXPECT_EQ(report.at("pure_sessions"), 309);
    EXPECT_NEAR(report.at("metadata_only").at("session").at("balanced_accuracy").get<double>(), 0.935, 0.01);
    EXPECT_NEAR(report.at("leaked_share").get<double>(), 0.931, 0.01);
}

} // namespace
} // namespace scene::test
