#include "train/table1.h"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(Table1, OursBesideThePapers) {
    std::vector<Table1Row> rows(2);
    rows[0].split = "simulation";
    rows[0].system = 4;
    rows[0].result.train_score = 0.5;
    rows[0].result.pseudo_score = 0.625;
    rows[0].result.test = Confusion(2, {3, 1, 0, 4});
    rows[1].split = "experiment";
    rows[1].system = 1;
    const std::string table = table1_markdown(rows);
    EXPECT_NE(table.find("| simulation | #4 | x | x | x | 0.500 | 0.947 | 0.625 | 0.966 | 0.875 | 0.978 |\n"),
              std::string::npos)
        << table;
    EXPECT_NE(table.find("| experiment | #1 |  |  |  | 0.000 | 0.966 | - | 0.982 | - | - |\n"), std::string::npos)
        << table;
    const auto json = nlohmann::json::parse(table1_json(rows));
    EXPECT_EQ(json[0]["test"], 0.875);
    EXPECT_EQ(json[0]["paper_test"], 0.978);
    EXPECT_TRUE(json[1]["test"].is_null());
}

TEST(Table1, RunsAllSystemsWithOneTeacherPerSplitAndGoesOn) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "store");
    const auto backend = make_cpu_backend(1);
    Recorder recorder;
    std::atomic<bool> stop{false};
    RunConfig base = small_config(4);
    base.training.epochs = 1;
    recorder.after_epoch = [&](const EpochRecord&) { stop = recorder.epochs.size() == 5; }; // inside System #3
    EXPECT_THROW(run_table1(*backend, store, base, folder / "table", {recorder, stop}), Interrupted);
    stop = false;
    recorder.after_epoch = nullptr;
    recorder.epochs.clear();
    const auto rows = run_table1(*backend, store, base, folder / "table", {recorder, stop});
    EXPECT_EQ(recorder.epochs.size(), 16u - 5) << "what was done is not done again";
    ASSERT_EQ(rows.size(), 8u);
    for (const Table1Row& row : rows) EXPECT_EQ(row.result.test.has_value(), row.split == "simulation");
    for (const char* split : {"simulation", "experiment"}) {
        for (int system = 1; system <= 4; ++system) {
            const auto run = folder / "table" / split / ("system" + std::to_string(system));
            const RunConfig config = load_config(run / "config.toml");
            EXPECT_EQ(config.system, std::to_string(system));
            EXPECT_EQ(config.split.name, split);
            EXPECT_EQ(config.model.width, base.model.width);
            EXPECT_FALSE(std::filesystem::exists(run / "teacher"));
            EXPECT_EQ(std::filesystem::exists(run / "hard_samples.csv"), system >= 3);
            if (system >= 3) {
                EXPECT_NE(config.training.teacher.find(std::string(split) + "/system1/"), std::string::npos);
            }
        }
    }
    EXPECT_EQ(content(folder / "table" / "table1.md"), table1_markdown(rows));
    EXPECT_EQ(content(folder / "table" / "table1.json"), table1_json(rows));
}

} // namespace
} // namespace scene::test
