#include "train/report/confusion_files.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/evaluation/breakdown.h"

namespace scene::test {
namespace {

size_t occurrences(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

TEST(ConfusionFiles, ThePictureHasEveryCountAndIsWellFormed) {
    const Confusion confusion(3, {17, 1, 2, 0, 0, 0, 4, 0, 12});
    const std::string svg =
        confusion_svg(confusion, std::vector<std::string>{"Bus", "<Bar> & \"x\"", "Metro"}, "a < b");
    EXPECT_EQ(svg.rfind("<svg ", 0), 0u);
    for (const char* part :
         {">17<", ">12<", ">0.850<", ">0.750<", ">-<", "&lt;Bar&gt; &amp; &quot;x&quot;", "a &lt; b"})
        EXPECT_NE(svg.find(part), std::string::npos) << part;
    EXPECT_EQ(occurrences(svg, "<rect "), 10u) << "the paper and nine squares";
    EXPECT_EQ(occurrences(svg, "<text "), occurrences(svg, "</text>"));
    EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(ConfusionFiles, TextCsvAndPictureHoldTheSameCounts) {
    const TemporaryFolder folder;
    const std::vector<std::string> names = {"a, b", "c"};
    const Confusion confusion(2, {5, 6, 7, 8});
    write_confusion(folder.path(), confusion, names, "the title");
    EXPECT_EQ(read_text(folder / "confusion.csv"), "true\\predicted,\"a, b\",c\n\"a, b\",5,6\nc,7,8\n");
    EXPECT_EQ(read_text(folder / "confusion.txt"), "the title\n\n" + confusion_table(confusion, names));
    EXPECT_EQ(read_text(folder / "confusion.svg"), confusion_svg(confusion, names, "the title"));
}

TEST(Breakdown, CitiesAndDevicesShareOutTheLabelledClips) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "store", {.clips = 60, .places = true, .groups = true});
    std::vector<Prediction> predictions;
    Confusion expected(3), unknown(3);
    for (int32_t clip = 0; clip < 60; clip += 2) {
        predictions.push_back({clip, clip % 7 % 3, 1});
        const auto at = static_cast<size_t>(clip);
        if (store.columns().label[at] < 0) continue;
        if (store.columns().city[at] == 1) expected.add(store.columns().label[at], clip % 7 % 3);
        if (store.columns().city[at] < 0) unknown.add(store.columns().label[at], clip % 7 % 3);
    }
    const auto cities = scores_by_city(predictions, store.columns()),
               devices = scores_by_device(predictions, store.columns());
    ASSERT_EQ(cities.size(), 3u);
    EXPECT_EQ(cities[0], (PartScore{"Jinan", expected}));
    EXPECT_EQ(cities[1].name, "Xi'an");
    EXPECT_EQ(cities[2], (PartScore{"(unknown)", unknown}));
    ASSERT_EQ(devices.size(), 2u);
    EXPECT_EQ(devices[0].name, "phone");
    const int64_t all = confusion_of(predictions, store.columns()).total();
    EXPECT_EQ(cities[0].confusion.total() + cities[1].confusion.total() + cities[2].confusion.total(), all);
    EXPECT_EQ(devices[0].confusion.total() + devices[1].confusion.total(), all);
    const FeatureStore nowhere = small_store(folder / "nowhere");
    EXPECT_TRUE(scores_by_city(predictions, nowhere.columns()).empty());
    EXPECT_TRUE(scores_by_device(predictions, nowhere.columns()).empty());
}

} // namespace
} // namespace scene::test
