#include "train/run/run_folder.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

TEST(RunFolderFiles, AStoreIdentityThatIsNoObjectIsDamage) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "a.store", {.clips = 6});
    const Split split = {"simulation", 1, {0}, {}, {1}};
    const RunFolder run{folder / "run"};
    std::filesystem::create_directory(run.folder);
    open_run_folder(run, {}, store, split);
    write_text(run.last(), "an epoch");
    EXPECT_NO_THROW(open_run_folder(run, {}, store, split));
    for (const char* text : {"[]", "5", "null", "{"}) {
        write_text(run.store(), text);
        EXPECT_TRUE(fails_with([&] { open_run_folder(run, {}, store, split); }, {"store.json", "corrupted"})) << text;
    }
}

/// Other clips in the same numbers, and another name or seed.
TEST(RunFolderFiles, ASplitOfTheSameSizesIsAnotherOne) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "a.store", {.clips = 9});
    const RunFolder run{folder / "run"};
    std::filesystem::create_directory(run.folder);
    const Split split = {"simulation", 7, {0, 1}, {2, 3}, {4, 5}};
    open_run_folder(run, {}, store, split);
    write_text(run.last(), "an epoch");
    const std::vector<Split> others = {
        {"experiment", 7, {0, 1}, {2, 3}, {4, 5}}, {"simulation", 8, {0, 1}, {2, 3}, {4, 5}},
        {"simulation", 7, {0, 8}, {2, 3}, {4, 5}}, {"simulation", 7, {0, 1}, {2, 8}, {4, 5}},
        {"simulation", 7, {0, 1}, {2, 3}, {4, 8}}, {"simulation", 7, {2, 3}, {0, 1}, {4, 5}},
        {"simulation", 7, {0, 1}, {4, 5}, {2, 3}}, {"simulation", 7, {0, 1}, {2, 3}, {}}};
    for (size_t i = 0; i < others.size(); ++i)
        EXPECT_TRUE(fails_with([&] { open_run_folder(run, {}, store, others[i]); }, {"another split"})) << i;
    EXPECT_NO_THROW(open_run_folder(run, {}, store, split));
}

/// Stores of the same sizes, some with the same content in another order.
TEST(RunFolderFiles, AStoreOfTheSameSizesIsAnotherOne) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "a.store", {.clips = 9, .places = true});
    const Split split = {"simulation", 1, {0}, {}, {1}};
    const RunFolder run{folder / "run"};
    std::filesystem::create_directory(run.folder);
    open_run_folder(run, {}, store, split);
    write_text(run.last(), "an epoch");
    constexpr size_t clip_values = small_frames * small_bands;
    using Change = std::function<void(StoreColumns&, std::vector<float>&)>;
    const std::vector<std::pair<std::string, Change>> changes = {
        {"classes was", [](auto& columns, auto&) { std::swap(columns.classes[0], columns.classes[1]); }},
        {"classes was", [](auto& columns, auto&) { columns.classes[2] = "other"; }},
        {"differ", [](auto& columns, auto&) { std::swap(columns.cities[0], columns.cities[1]); }},
        {"differ", [](auto& columns, auto&) { std::swap(columns.names[7], columns.names[8]); }},
        {"differ", [](auto& columns, auto&) { columns.names[0] = "clip", columns.names[1] = "0clip1"; }},
        {"differ", [](auto& columns, auto&) { std::swap(columns.label[0], columns.label[1]); }},
        {"differ", [](auto& columns, auto&) { std::swap(columns.city[0], columns.city[1]); }},
        {"differ", [](auto& columns, auto&) { std::swap(columns.time[0], columns.time[8]); }},
        {"differ", [](auto&, auto& logmel) {
             std::swap_ranges(logmel.begin() + 7 * clip_values, logmel.begin() + 8 * clip_values,
                              logmel.begin() + 8 * clip_values);
         }}};
    for (size_t i = 0; i < changes.size(); ++i) {
        StoreColumns columns = store.columns();
        std::vector<float> logmel(store.logmel().begin(), store.logmel().end());
        changes[i].second(columns, logmel);
        write_feature_store(folder / "b.store", columns, logmel);
        const FeatureStore other = FeatureStore::open(folder / "b.store");
        EXPECT_TRUE(fails_with([&] { open_run_folder(run, {}, other, split); }, {"another store", changes[i].first}))
            << i;
    }
    EXPECT_NO_THROW(open_run_folder(run, {}, store, split));
}

TEST(RunFolderFiles, WithoutAnEpochAFolderBindsNobody) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "a.store", {.clips = 6});
    const RunFolder run{folder / "run"};
    std::filesystem::create_directory(run.folder);
    open_run_folder(run, {}, store, {"simulation", 1, {0}, {}, {1}});
    write_text(run.folder / "own.txt", "the user's");
    const Split split = {"simulation", 1, {0}, {}, {2}};
    RunConfig config;
    config.training.batch = 7;
    open_run_folder(run, config, store, split);
    EXPECT_EQ(load_config(run.config()), config);
    EXPECT_EQ(load_split(run.split(), store.clips()), split);
    EXPECT_TRUE(std::filesystem::exists(run.folder / "own.txt"));
    std::filesystem::create_directory(run.teacher());
    write_text(RunFolder{run.teacher()}.last(), "the teacher's epoch");
    EXPECT_TRUE(fails_with([&] { open_run_folder(run, {}, store, split); }, {"other settings", "training.batch"}));
}

TEST(RunFolderFiles, AResultIsReadAsItWasWritten) {
    const TemporaryFolder folder;
    const RunFolder run{folder.path()};
    RunResult result;
    result.system = "mine";
    result.train_score = 0.125;
    result.pseudo_score = 0.25;
    result.labelled_score = 0.5;
    result.test = Confusion(2, {5, 1, 2, 7});
    result.cities = {{"Jinan", Confusion(2, {5, 0, 0, 0})}, {"Hefei", Confusion(2, {0, 1, 2, 7})}};
    result.devices = {{"phone", Confusion(2, {4, 1, 2, 7})}};
    result.hard_clips = 12;
    result.checkpoint = run.best_model(7);
    save_result(run, result, {"a", "b"});
    const RunResult read = load_result(run).value();
    EXPECT_EQ(read.system, "mine");
    EXPECT_EQ(read.train_score, 0.125);
    EXPECT_EQ(read.pseudo_score, 0.25);
    EXPECT_EQ(read.labelled_score, 0.5);
    EXPECT_EQ(read.hard_clips, 12);
    EXPECT_EQ(read.checkpoint, run.best_model(7));
    EXPECT_EQ(read.test, result.test);
    ASSERT_EQ(read.cities.size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(read.cities[i].name, result.cities[i].name);
        EXPECT_EQ(read.cities[i].confusion, result.cities[i].confusion);
    }
    ASSERT_EQ(read.devices.size(), 1u);
    EXPECT_EQ(read.devices[0].name, "phone");
    EXPECT_EQ(read.devices[0].confusion, result.devices[0].confusion);
}

TEST(RunFolderFiles, AConfusionMatrixThatIsNotSquareIsDamage) {
    const TemporaryFolder folder;
    const RunFolder run{folder.path()};
    RunResult result;
    result.checkpoint = run.best_model(1);
    result.test = Confusion(2, {5, 1, 2, 7});
    save_result(run, result, {"a", "b"});
    EXPECT_EQ(load_result(run)->test, result.test);
    const std::string text = read_text(run.result());
    const auto row = [](const char* numbers) { return std::string("[\n      ") + numbers + "\n    ]"; };
    const std::string first = row("5,\n      1"), second = row("2,\n      7");
    ASSERT_NE(text.find(first), std::string::npos) << text;
    for (const std::string& bad : {std::string("[5, 1, 2]"), std::string("5"), std::string("[5.5, 1]"),
                                   std::string("[-5, 1]"), std::string("{\"a\": 5, \"b\": 1}")}) {
        std::string damaged = text;
        damaged.replace(damaged.find(first), first.size(), bad);
        if (bad == "[5, 1, 2]")
            damaged.replace(damaged.find(second), second.size(), "[7]"); // still four numbers, but no square matrix
        write_text(run.result(), damaged);
        EXPECT_TRUE(fails_with([&] { load_result(run); }, {"result.json", "corrupted"})) << bad;
    }
}

} // namespace
} // namespace scene::test
