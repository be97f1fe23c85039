#include "train/run/table1.h"

#include <cmath>
#include <fstream>

#include <gtest/gtest.h>

#include "kernels/files/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(Table1, TheSplitsSideBySideBesideThePaper) {
    Table1 table;
    RunResult result;
    result.train_score = 0.5;
    result.pseudo_score = 0.625;
    result.test = Confusion(2, {3, 1, 0, 4});
    result.leak = {0.75, 0.75, 1};
    RunResult honest = result;
    honest.test = Confusion(2, {3, 1, 2, 2});
    honest.leak = {0, 0, 1};
    table.rows = {{"simulation", 4, {result}}, {"experiment", 4, {RunResult{}}}, {"session", 4, {honest}}};
    table.notes = {"no city split: too few"};
    const std::string text = table1_markdown(table);
    EXPECT_NE(text.find("| simulation train | simulation pseudo | simulation test, leaked 0.750 | experiment train | "
                        "experiment pseudo | session train | session pseudo | session test, leaked 0.000 |\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("| #4 | x | x | x | 0.500 (0.947) | 0.625 (0.966) | 0.875 (0.978) | 0.000 (0.989) | - (0.991) "
                        "| 0.500 | 0.625 | 0.625 |\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("no city split: too few"), std::string::npos);
    const auto json = parse_json(table1_json(table));
    EXPECT_EQ(json[0]["test"], 0.875);
    EXPECT_EQ(json[0]["paper_test"], 0.978);
    EXPECT_EQ(json[0]["leaked_share"], 0.75);
    EXPECT_TRUE(json[0]["test_deviation"].is_null());
    EXPECT_TRUE(json[1]["test"].is_null());
    EXPECT_TRUE(json[2]["paper_test"].is_null());
    EXPECT_EQ(json[2]["leaked_share"], 0);
}

TEST(Table1, EveryScoreHasItsOwnPlace) {
    Table1 table;
    for (const char* split : {"simulation", "experiment", "session"}) {
        for (int system = 1; system <= 4; ++system) {
            RunResult result;
            result.train_score = 0.125;
            result.pseudo_score = 0.25;
            result.labelled_score = 0.375;
            result.test = Confusion(2, {1, 1, 0, 1});
            result.leak = {0.5, 0.625, 1};
            table.rows.push_back({split, system, {result}});
        }
    }
    const auto json = parse_json(table1_json(table));
    ASSERT_EQ(json.size(), 12u);
    const double train[] = {0.920, 0.845, 0.939, 0.947, 0.966, 0.989, 0.973, 0.989};
    const double pseudo[] = {0.961, 0.898, 0.958, 0.966, 0.982, 0.985, 0.976, 0.991};
    for (size_t i = 0; i < 12; ++i) {
        EXPECT_EQ(json[i]["system"], i % 4 + 1);
        EXPECT_EQ(json[i]["train"], 0.125);
        EXPECT_EQ(json[i]["pseudo"], 0.25);
        EXPECT_EQ(json[i]["labelled_validation"], 0.375);
        EXPECT_EQ(json[i]["test"], 0.75);
        EXPECT_EQ(json[i]["leaked_share"], 0.5);
        if (i < 8) {
            EXPECT_EQ(json[i]["paper_train"], train[i]);
            EXPECT_EQ(json[i]["paper_pseudo"], pseudo[i]);
        } else {
            EXPECT_TRUE(json[i]["paper_train"].is_null() && json[i]["paper_pseudo"].is_null());
        }
        EXPECT_EQ(json[i]["paper_test"].is_null(), i >= 4);
    }
}

TEST(Table1, SeveralSeedsAreMeanAndDeviation) {
    Table1 table;
    table.rows = {{"simulation", 1, {{}, {}}}};
    table.rows[0].results[0].train_score = 0.5;
    table.rows[0].results[1].train_score = 0.75;
    for (RunResult& result : table.rows[0].results) {
        result.test = Confusion(1, {1});
        result.leak.known = 0;
    }
    const std::string text = table1_markdown(table);
    EXPECT_NE(text.find("| 0.625 ± 0.177 (0.920) |"), std::string::npos) << text;
    EXPECT_NE(text.find("simulation test, leaked: unknown (no sessions)"), std::string::npos) << text;
    EXPECT_NE(text.find("n - 1"), std::string::npos);
    const auto json = parse_json(table1_json(table));
    EXPECT_EQ(json[0]["seeds"], 2);
    EXPECT_NEAR(json[0]["train_deviation"].get<double>(), 0.25 / std::sqrt(2.0), 1e-12);
}

TEST(Table1, RunsAllSystemsWithOneTeacherPerSplitAndSeedAndGoesOn) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "store", {.groups = true});
    const auto device = make_cpu_device(1);
    Recorder recorder;
    std::atomic<bool> stop{false};
    RunConfig base = small_config(4);
    base.training.epochs = 1;
    const Table1Options options{{"simulation", "session"}, 2};
    recorder.after_epoch = [&](const EpochRecord&) { stop = recorder.epochs.size() == 9; }; // inside System #3
    EXPECT_THROW(run_table1(*device, store, base, options, folder / "table", {recorder, stop}), Interrupted);
    stop = false;
    recorder.after_epoch = nullptr;
    recorder.epochs.clear();
    const Table1 table = run_table1(*device, store, base, options, folder / "table", {recorder, stop});
    EXPECT_EQ(recorder.epochs.size(), 32u - 9) << "what was done is not done again";
    ASSERT_EQ(table.rows.size(), 8u);
    EXPECT_TRUE(table.notes.empty());
    for (const Table1Row& row : table.rows) {
        ASSERT_EQ(row.results.size(), 2u);
        for (uint64_t step : {0, 1}) {
            const RunResult& result = row.results[step];
            EXPECT_EQ(result.split, row.split);
            if (row.split == "session") {
                EXPECT_EQ(result.leak.any, 0);
            } else {
                EXPECT_GT(result.leak.labelled, 0);
            }
            const std::string seed = "seed-" + std::to_string(base.training.seed + step);
            const auto run = folder / "table" / row.split / ("system" + std::to_string(row.system)) / seed;
            const RunConfig config = load_config(run / "config.toml");
            EXPECT_EQ(config.system, std::to_string(row.system));
            EXPECT_EQ(config.split.name, row.split);
            EXPECT_EQ(config.split.seed, base.split.seed + step);
            EXPECT_EQ(config.training.seed, base.training.seed + step);
            EXPECT_EQ(config.model.width, base.model.width);
            EXPECT_FALSE(std::filesystem::exists(run / "teacher"));
            EXPECT_EQ(std::filesystem::exists(run / "hard_samples.csv"), row.system >= 3);
            if (row.system >= 3) {
                EXPECT_NE(config.training.teacher.find(row.split + "/system1/" + seed + "/"), std::string::npos);
            }
        }
    }
    EXPECT_EQ(content(folder / "table" / "table1.md"), table1_markdown(table));
    EXPECT_EQ(content(folder / "table" / "table1.json"), table1_json(table));
}

TEST(Table1, AStoreWithoutSessionsSaysWhyThereIsNoSessionSplit) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "store");
    const auto device = make_cpu_device(1);
    Recorder recorder;
    const std::atomic<bool> stop{false};
    RunConfig base = small_config(4);
    base.training.epochs = 1;
    base.training.stages = 1;
    const Table1 table = run_table1(*device, store, base, {}, folder / "table", {recorder, stop});
    ASSERT_EQ(table.rows.size(), 8u);
    for (const Table1Row& row : table.rows)
        EXPECT_EQ(row.results.at(0).test.has_value(), row.split == "simulation") << row.split;
    ASSERT_EQ(table.notes.size(), 1u);
    EXPECT_NE(table.notes[0].find("no labelled clip has a session"), std::string::npos);
    EXPECT_TRUE(fails_with(
        [&] {
            run_table1(*device, store, base, {{"session"}, 1}, folder / "other", {recorder, stop});
        },
        {"split session", "no labelled clip has a session"}))
        << "asked for by name, it is an error";
}

} // namespace
} // namespace scene::test
