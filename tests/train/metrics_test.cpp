#include "train/metrics.h"

#include <cmath>

#include <gtest/gtest.h>

namespace scene::test {
namespace {

// scikit-learn: y_true = [0]*4 + [1]*6, balanced_accuracy_score = (3/4 + 2/6)/2.
TEST(Metrics, KnownAnswers) {
    const Confusion confusion(2, {3, 1, 4, 2});
    EXPECT_DOUBLE_EQ(confusion.balanced_accuracy(), (0.75 + 2.0 / 6) / 2);
    EXPECT_DOUBLE_EQ(confusion.accuracy(), 0.5);
    EXPECT_DOUBLE_EQ(confusion.recall(0), 0.75);
    EXPECT_DOUBLE_EQ(confusion.precision(0), 3.0 / 7);
    EXPECT_EQ(confusion.clips(1), 6);
    EXPECT_EQ(confusion.total(), 10);
}

TEST(Metrics, ClassesThatDoNotOccurDoNotCount) {
    Confusion confusion(3);
    EXPECT_TRUE(std::isnan(confusion.balanced_accuracy()));
    EXPECT_TRUE(std::isnan(confusion.accuracy()));
    confusion.add(0, 0, 3);
    confusion.add(2, 0);
    EXPECT_TRUE(std::isnan(confusion.recall(1)));
    EXPECT_TRUE(std::isnan(confusion.precision(1)));
    EXPECT_DOUBLE_EQ(confusion.balanced_accuracy(), 0.5);
    EXPECT_DOUBLE_EQ(confusion.accuracy(), 0.75);
}

TEST(Metrics, RefusesWhatIsNoConfusionMatrix) {
    EXPECT_THROW(Confusion(2, {1, 2, 3}), std::logic_error);
    EXPECT_THROW(Confusion(2, {1, 2, 3, -1}), std::logic_error);
    Confusion confusion(2);
    EXPECT_THROW(confusion.add(2, 0), std::logic_error);
    EXPECT_THROW(confusion.add(0, -1), std::logic_error);
}

TEST(Metrics, TableAndCsv) {
    const std::vector<std::string> names{"Bus", "Park, urban"};
    const Confusion confusion(2, {3, 1, 0, 0});
    EXPECT_EQ(confusion_csv(confusion, names), "true\\predicted,Bus,\"Park, urban\"\nBus,3,1\n\"Park, urban\",0,0\n");
    const std::string table = confusion_table(confusion, names);
    EXPECT_NE(table.find(" 0 Bus           3   1     4  0.750\n"), std::string::npos) << table;
    EXPECT_NE(table.find(" 1 Park, urban   0   0     0  -\n"), std::string::npos) << table;
}

} // namespace
} // namespace scene::test
