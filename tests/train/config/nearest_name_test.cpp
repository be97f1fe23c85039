#include "train/config/nearest_name.h"

#include <gtest/gtest.h>

namespace scene::test {
namespace {

TEST(NearestName, DistancesCountEdits) {
    EXPECT_EQ(edit_distance("", ""), 0u);
    EXPECT_EQ(edit_distance("train", "train"), 0u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("abc", ""), 3u);
    EXPECT_EQ(edit_distance("trin", "train"), 1u);
    EXPECT_EQ(edit_distance("traain", "train"), 1u);
    EXPECT_EQ(edit_distance("trqin", "train"), 1u);
    EXPECT_EQ(edit_distance("trian", "train"), 1u) << "neighbours swapped";
    EXPECT_EQ(edit_distance("rtani", "train"), 2u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(NearestName, IsTheOneThatWasMeant) {
    const std::vector<std::string> names{"synth", "prepare", "train", "evaluate", "predict", "--help", "plan"};
    EXPECT_EQ(nearest_name("trian", names), "train");
    EXPECT_EQ(nearest_name("--trian", names), "train");
    EXPECT_EQ(nearest_name("hlep", names), "--help");
    EXPECT_EQ(nearest_name("eval", names), "evaluate");
    EXPECT_EQ(nearest_name("plans", names), "plan");
}

TEST(NearestName, IsNothingWhereNoneIsNear) {
    const std::vector<std::string> names{"prepare", "predict", "train", "info"};
    for (const char* given : {"", "-", "x", "pre", "listen", "in", "xyzzy"})
        EXPECT_EQ(nearest_name(given, names), "") << given;
    EXPECT_EQ(nearest_name("train", {}), "");
}

} // namespace
} // namespace scene::test
