#include "train/run/repeats.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "kernels/files/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/evaluation/statistic.h"
#include "train/run/stages.h"

namespace scene::test {
namespace {

TEST(Statistics, DividesByOneLess) {
    const Statistic one = statistic({0.5, 0.75, 1.0, NAN});
    EXPECT_DOUBLE_EQ(one.mean, 0.75);
    EXPECT_DOUBLE_EQ(one.deviation, 0.25);
    EXPECT_TRUE(std::isnan(statistic({0.5}).deviation));
    EXPECT_TRUE(std::isnan(statistic({}).mean));
    EXPECT_EQ(statistic_text({0.5, 0.75, 1.0}), "0.750 ± 0.250");
    EXPECT_EQ(statistic_text({0.5}), "0.500");
    EXPECT_EQ(statistic_text({NAN}), "-");
}

class Repeats : public testing::Test {
protected:
    Repeats() : store_(small_store(folder_ / "store", {.clips = 90, .places = true, .groups = true})) {
        config_.training.epochs = 1;
        config_.training.seed = 1234; // part of the runs' names
    }
    std::vector<std::string> names(int64_t seeds) const {
        std::vector<std::string> out;
        for (const Repeat& one : repeats_of(config_, seeds, store_)) out.push_back(one.name);
        return out;
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    Recorder recorder_;
    std::atomic<bool> stop_{false};
    RunConfig config_ = small_config(2);
};

TEST_F(Repeats, SeedsCountUpAndFoldsAreAllThatHaveLabels) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(names(3), (Names{"seed-1234", "seed-1235", "seed-1236"}));
    config_.split.name = "fold:all";
    EXPECT_EQ(names(0), (Names{"fold-0", "fold-1", "fold-2"}));
    EXPECT_EQ(names(2), (Names{"fold-0-seed-1234", "fold-0-seed-1235", "fold-1-seed-1234", "fold-1-seed-1235",
                               "fold-2-seed-1234", "fold-2-seed-1235"}));
    const Repeat last = repeats_of(config_, 2, store_).back();
    EXPECT_EQ(last.config.split.name, "fold:2");
    EXPECT_EQ(last.config.split.seed, 1235u);
    EXPECT_EQ(last.config.training.seed, 1235u);
    EXPECT_EQ(last.config.training.batch, config_.training.batch);
    const FeatureStore foldless = small_store(folder_ / "foldless");
    EXPECT_TRUE(fails_with([&] { repeats_of(config_, 0, foldless); }, {"no labelled clip has a fold", "'fold'"}));
}

TEST_F(Repeats, OnlySplitsThatAreDrawnChangeTheirSeed) {
    const auto seed = [](const std::string& name, const std::string& cities = "", double labelled = 0.2) {
        SplitSettings settings;
        settings.name = name;
        settings.cities = cities;
        settings.labelled_share = labelled;
        return nth_draw(settings, 3).seed;
    };
    for (const char* name : {"simulation", "session", "city", "fold:1"}) EXPECT_EQ(seed(name), 1237u) << name;
    for (const char* name : {"experiment", "official", "mine.json"}) EXPECT_EQ(seed(name), 1234u) << name;
    EXPECT_EQ(seed("city", "Hefei"), 1234u);
    EXPECT_EQ(seed("fold:1", "", 1), 1234u);
}

TEST_F(Repeats, EverySeedDrawsAnew) {
    config_.split.seed = 50;
    const std::vector<Repeat> five = repeats_of(config_, 5, store_);
    std::set<std::vector<int32_t>> tests;
    for (size_t step = 0; step < 5; ++step) {
        EXPECT_EQ(five[step].config.training.seed, 1234 + step);
        EXPECT_EQ(five[step].config.split.seed, 50 + step);
        tests.insert(split_of(store_.columns(), five[step].config.split).test);
    }
    EXPECT_EQ(tests.size(), 5u);
}

/// A fold without labelled clips has no test.
TEST_F(Repeats, FoldsOfUnlabelledClipsAreNotRun) {
    StoreColumns columns = store_.columns();
    ASSERT_EQ(columns.label[89], -1);
    columns.fold[89] = 7;
    columns.fold[0] = -1;
    write_feature_store(folder_ / "seven", columns, store_.logmel());
    EXPECT_EQ(folds_of(FeatureStore::open(folder_ / "seven")), (std::vector<int32_t>{0, 1, 2}));
}

TEST_F(Repeats, EveryScoreOfTheSummaryIsItsOwn) {
    config_.system = "mine";
    config_.split.name = "fold:all";
    const std::vector<Repeat> repeats = repeats_of(config_, 0, store_);
    std::vector<RunResult> results(3);
    for (size_t run = 0; run < 3; ++run) {
        results[run].train_score = 0.125;
        results[run].pseudo_score = 0.25;
        results[run].labelled_score = 0.5 + 0.125 * static_cast<double>(run);
    }
    const auto json = parse_json(summary_json(summarize(config_, repeats, results, {"a"})));
    EXPECT_EQ(json["system"], "mine");
    EXPECT_EQ(json["split"], "fold:all");
    EXPECT_EQ(json["runs"], (nlohmann::json{"fold-0", "fold-1", "fold-2"}));
    EXPECT_EQ(json["scores"]["train"]["values"], (nlohmann::json{0.125, 0.125, 0.125}));
    EXPECT_EQ(json["scores"]["pseudo"]["values"], (nlohmann::json{0.25, 0.25, 0.25}));
    EXPECT_EQ(json["scores"]["labelled_validation"]["values"], (nlohmann::json{0.5, 0.625, 0.75}));
    EXPECT_EQ(json["scores"]["labelled_validation"]["mean"], 0.625);
}

TEST_F(Repeats, TheSummaryHoldsEveryScoreOfEveryRun) {
    RunResult first, second;
    first.train_score = 0.5;
    second.train_score = 1;
    first.test = Confusion(2, {3, 1, 0, 8});
    first.devices = {{"phone", Confusion(2, {1, 3, 0, 0})}};
    first.cities = {{"Jinan", Confusion(2, {1, 1, 0, 0})}, {"(unknown)", Confusion(2, {1, 0, 0, 0})}};
    second.test = Confusion(2, {4, 0, 2, 2});
    second.cities = {{"Jinan", Confusion(2, {1, 0, 0, 0})}};
    second.leak = {0.25, 0.5, 1};
    const Summary summary = summarize(config_, repeats_of(config_, 2, store_), {first, second}, {"a", "b"});
    const auto json = parse_json(summary_json(summary));
    EXPECT_EQ(json["runs"], (nlohmann::json{"seed-1234", "seed-1235"}));
    EXPECT_EQ(json["scores"]["train"]["mean"], 0.75);
    EXPECT_NEAR(json["scores"]["train"]["deviation"].get<double>(), 0.5 / std::sqrt(2.0), 1e-12);
    EXPECT_EQ(json["scores"]["test_balanced_accuracy"]["values"], (nlohmann::json{0.875, 0.75}));
    EXPECT_EQ(json["scores"]["test_accuracy"]["values"], (nlohmann::json{11.0 / 12, 0.75}));
    EXPECT_EQ(json["scores"]["leaked_share_with_unlabelled"]["values"], (nlohmann::json{nullptr, 0.5}));
    ASSERT_TRUE(json["devices"].contains("phone"));
    EXPECT_EQ(json["devices"]["phone"]["values"], (nlohmann::json{0.25, nullptr}));
    EXPECT_FALSE(json["devices"].contains("Jinan"));
    EXPECT_EQ(json["scores"]["leaked_share"]["values"], (nlohmann::json{nullptr, 0.25}));
    EXPECT_TRUE(json["scores"]["pseudo"]["mean"].is_null());
    EXPECT_EQ(json["classes"]["b"]["values"], (nlohmann::json{1.0, 0.5}));
    EXPECT_EQ(json["cities"]["Jinan"]["values"], (nlohmann::json{0.5, 1.0}));
    EXPECT_EQ(json["cities"]["(unknown)"]["values"], (nlohmann::json{1.0, nullptr}));
    EXPECT_TRUE(json["cities"]["(unknown)"]["deviation"].is_null()) << "one value has none";
}

TEST_F(Repeats, EachRunHasItsFolderAndWhatIsCompleteIsNotRunAgain) {
    config_ = as_system(config_, 3);
    config_.split.name = "session";
    recorder_.after_epoch = [&](const EpochRecord&) { stop_ = recorder_.epochs.size() == 5; }; // in the second run
    EXPECT_THROW(train_repeats(*device_, store_, config_, 2, folder_ / "run", {recorder_, stop_}), Interrupted);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / "summary.json"));
    stop_ = false;
    recorder_.after_epoch = nullptr;
    recorder_.epochs.clear();
    const Summary summary = train_repeats(*device_, store_, config_, 2, folder_ / "run", {recorder_, stop_});
    EXPECT_EQ(recorder_.epochs.size(), 8u - 5) << "two runs of two stages, each after its own teacher";
    EXPECT_EQ(read_text(folder_ / "run" / "summary.json"), summary_json(summary));
    for (const char* seed : {"1234", "1235"}) {
        const auto run = folder_ / "run" / (std::string("seed-") + seed);
        EXPECT_EQ(load_config(run / "config.toml").split.seed, std::stoull(seed));
        EXPECT_EQ(load_config(run / "teacher" / "config.toml").training.seed, std::stoull(seed));
        EXPECT_EQ(load_split(run / "teacher" / "split.json", store_.clips()),
                  load_split(run / "split.json", store_.clips()))
            << "the teacher must not have heard the test of its seed";
    }
    EXPECT_NE(load_split(folder_ / "run" / "seed-1234" / "split.json", store_.clips()).test,
              load_split(folder_ / "run" / "seed-1235" / "split.json", store_.clips()).test);
    ASSERT_EQ(summary.cities.size(), 3u);
    EXPECT_EQ(summary.cities[0].name, "Jinan");
    EXPECT_EQ(summary.cities[2].name, "(unknown)");
    ASSERT_EQ(summary.devices.size(), 2u);
    // The same summary, read back from complete runs.
    EXPECT_EQ(summary_json(train_repeats(*device_, store_, config_, 2, folder_ / "run", {recorder_, stop_})),
              summary_json(summary));
}

} // namespace
} // namespace scene::test
