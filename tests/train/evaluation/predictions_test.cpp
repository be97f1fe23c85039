#include "train/evaluation/predictions.h"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

StoreColumns columns() {
    StoreColumns out;
    out.names = {"a", "b, \"c\"", "d"};
    out.classes = {"Bus", "Park, urban"};
    return out;
}

TEST(Predictions, TakeTheFirstOfEqualMaxima) {
    const std::vector<float> probabilities{0.5f, 0.5f, 0.1f, 0.9f, 0.8f, 0.2f};
    const std::vector<int32_t> clips{2, 0};
    const auto predictions = predictions_of(probabilities, clips, 2);
    ASSERT_EQ(predictions.size(), 2u);
    EXPECT_EQ(predictions[0].clip, 2);
    EXPECT_EQ(predictions[0].label, 0);
    EXPECT_EQ(predictions[0].confidence, 0.8f);
    EXPECT_EQ(predictions[1].clip, 0);
    EXPECT_EQ(predictions[1].label, 0);
}

TEST(Predictions, FilesQuoteWhatNeedsIt) {
    const TemporaryFolder folder;
    const std::vector<Prediction> predictions{{0, 1, 0.25f}, {1, 0, 1}};
    write_predictions(folder / "predictions.csv", predictions, columns());
    EXPECT_EQ(content(folder / "predictions.csv"), "filename,scene_label\na,\"Park, urban\"\n\"b, \"\"c\"\"\",Bus\n");
}

TEST(Predictions, HardSamplesOfAStageReplaceItsOwnLinesOnly) {
    const TemporaryFolder folder;
    const auto file = folder / "hard.csv";
    EXPECT_EQ(count_hard_samples(file, 1), 0);
    const std::vector<HardClip> first{{0, 0.5f, 1.25f}, {2, 0.25f, 2}}, second{{2, 0.5f, 1.5f}};
    write_hard_samples(file, 1, first, columns());
    write_hard_samples(file, 2, first, columns());
    write_hard_samples(file, 2, second, columns());
    EXPECT_EQ(content(file), "stage,filename,confidence,weight\n1,a,0.500000,1.250000\n1,d,0.250000,2.000000\n"
                             "2,d,0.500000,1.500000\n");
    EXPECT_EQ(count_hard_samples(file, 1), 2);
    EXPECT_EQ(count_hard_samples(file, 2), 1);
}

TEST(Predictions, HardSamplesOfStageOneAreNotThoseOfStageTwelve) {
    const TemporaryFolder folder;
    const auto file = folder / "hard.csv";
    const std::vector<HardClip> three{{0, 0.5f, 1}, {1, 0.5f, 1}, {2, 0.5f, 1}}, one{{2, 0.25f, 2}};
    write_hard_samples(file, 12, three, columns());
    write_hard_samples(file, 1, one, columns());
    write_hard_samples(file, 1, one, columns());
    EXPECT_EQ(count_hard_samples(file, 12), 3);
    EXPECT_EQ(count_hard_samples(file, 1), 1);
    EXPECT_EQ(count_hard_samples(file, 2), 0);
}

TEST(Predictions, UnlabelledClipsAreNotCounted) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "store", {.clips = 30});
    ASSERT_EQ(store.columns().label[1], 1);
    ASSERT_EQ(store.columns().label[29], -1);
    const std::vector<Prediction> predictions{{1, 2, 0.5f}, {29, 0, 0.5f}};
    const Confusion confusion = confusion_of(predictions, store.columns());
    EXPECT_EQ(confusion.total(), 1);
    EXPECT_EQ(confusion.count(1, 2), 1);
}

} // namespace
} // namespace scene::test
