#include "train/evaluation/breakdown.h"

#include <optional>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

using Counts = std::vector<std::vector<int64_t>>;

/// Six clips of three classes in more cities than classes; the last has no label.
class BreakdownOfAStore : public testing::Test {
protected:
    BreakdownOfAStore() {
        StoreColumns columns = small_store(folder_ / "first", {.clips = 6, .groups = true}).columns();
        columns.cities = {"Xi'an", "Jinan", "Hefei", "Sanya", "Haikou"};
        columns.label = {0, 1, 2, 0, 1, -1};
        columns.city = {4, -1, 0, 4, 2, 4};
        columns.devices = {"b", "a", "", "a", "b", "a"};
        store_.emplace(written(columns));
    }
    FeatureStore written(const StoreColumns& columns) {
        write_feature_store(folder_ / "store", columns,
                            std::vector<float>(static_cast<size_t>(columns.clips() * small_frames * small_bands)));
        return FeatureStore::open(folder_ / "store");
    }
    static std::vector<std::string> names(const std::vector<PartScore>& parts) {
        std::vector<std::string> out;
        for (const PartScore& part : parts) out.push_back(part.name);
        return out;
    }

    TemporaryFolder folder_;
    std::optional<FeatureStore> store_;
    std::vector<Prediction> predictions_{{0, 1, 1}, {1, 1, 1}, {2, 0, 1}, {3, 0, 1}, {4, 2, 1}, {5, 2, 1}};
};

TEST_F(BreakdownOfAStore, EveryLabelledClipCountsWhereItWasRecorded) {
    const std::vector<PartScore> cities = scores_by_city(predictions_, store_->columns());
    EXPECT_EQ(names(cities), (std::vector<std::string>{"Haikou", "Hefei", "Xi'an", "(unknown)"}));
    EXPECT_EQ(cities[0].confusion, Confusion(3, {1, 1, 0, 0, 0, 0, 0, 0, 0})) << "clips 0 and 3; 5 has no label";
    EXPECT_EQ(cities[1].confusion, Confusion(3, {0, 0, 0, 0, 0, 1, 0, 0, 0}));
    EXPECT_EQ(cities[2].confusion, Confusion(3, {0, 0, 0, 0, 0, 0, 1, 0, 0}));
    EXPECT_EQ(cities[3].confusion, Confusion(3, {0, 0, 0, 0, 1, 0, 0, 0, 0}));
    const std::vector<PartScore> devices = scores_by_device(predictions_, store_->columns());
    EXPECT_EQ(names(devices), (std::vector<std::string>{"a", "b", "(unknown)"}));
    EXPECT_EQ(devices[0].confusion, Confusion(3, {1, 0, 0, 0, 1, 0, 0, 0, 0}));
    EXPECT_EQ(devices[1].confusion, Confusion(3, {0, 1, 0, 0, 0, 1, 0, 0, 0}));
    EXPECT_EQ(devices[2].confusion, Confusion(3, {0, 0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST_F(BreakdownOfAStore, OnlyThePredictedClipsCount) {
    predictions_ = {{4, 1, 1}};
    EXPECT_EQ(names(scores_by_city(predictions_, store_->columns())), std::vector<std::string>{"Hefei"});
    predictions_ = {{5, 1, 1}};
    EXPECT_TRUE(scores_by_city(predictions_, store_->columns()).empty());
    EXPECT_TRUE(scores_by_device(predictions_, store_->columns()).empty());
}

TEST_F(BreakdownOfAStore, WhereNothingIsKnownThereAreNoParts) {
    StoreColumns columns = store_->columns();
    columns.city.assign(6, -1);
    columns.devices.assign(6, "");
    const FeatureStore nowhere = written(columns);
    EXPECT_TRUE(scores_by_city(predictions_, nowhere.columns()).empty());
    EXPECT_TRUE(scores_by_device(predictions_, nowhere.columns()).empty());
}

} // namespace
} // namespace scene::test
