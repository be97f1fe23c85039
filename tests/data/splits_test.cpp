#include "data/splits/splits.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "data/formats/dataset.h"
#include "tests/support/expect_error.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;
using Indices = std::vector<int32_t>;

const std::vector<std::string> three_classes = {"a", "b", "c"};

/// Labels with `counts[c]` clips of class c, then `unlabelled` without one, in an order that mixes them.
std::vector<int32_t> labels(const std::vector<int>& counts, int unlabelled) {
    std::vector<int32_t> out;
    for (size_t c = 0; c < counts.size(); ++c)
        out.insert(out.end(), static_cast<size_t>(counts[c]), static_cast<int>(c));
    out.insert(out.end(), static_cast<size_t>(unlabelled), -1);
    std::vector<int32_t> mixed(out.size());
    for (size_t i = 0; i < out.size(); ++i) mixed[(i * 7919) % out.size()] = out[i];
    return mixed;
}

std::map<int, int> counts_of(const Indices& indices, const std::vector<int32_t>& label) {
    std::map<int, int> counts;
    for (int32_t i : indices) ++counts[label[static_cast<size_t>(i)]];
    return counts;
}

/// Every clip is in at most one part, once, and every part is sorted.
bool is_partition(const Split& split, size_t clips) {
    std::set<int32_t> seen;
    for (const Indices* part : {&split.labelled, &split.unlabelled, &split.test}) {
        if (!std::is_sorted(part->begin(), part->end())) return false;
        for (int32_t i : *part)
            if (i < 0 || i >= static_cast<int32_t>(clips) || !seen.insert(i).second) return false;
    }
    return true;
}

TEST(Splits, SimulationHalvesEveryClass) {
    const std::vector<int32_t> label = labels({11, 9, 6}, 20);
    const Split split = make_split({label, {}, three_classes}, {.name = "simulation", .seed = 3});
    EXPECT_TRUE(is_partition(split, label.size()));
    EXPECT_EQ(split.labelled.size(), 13u);
    EXPECT_EQ(split.test.size(), 13u);
    EXPECT_EQ(split.unlabelled.size(), 20u);
    for (const auto& [c, count] : counts_of(split.labelled, label))
        EXPECT_NEAR(count, counts_of(split.test, label)[c], 1);
}

TEST(Splits, TheSeedDecidesAndNothingElse) {
    const std::vector<int32_t> label = labels({11, 9, 6}, 20);
    const ClipColumns clips = {label, {}, three_classes};
    const Split one = make_split(clips, {.seed = 1}), again = make_split(clips, {.seed = 1});
    EXPECT_EQ(one, again);
    EXPECT_NE(one.test, make_split(clips, {.seed = 2}).test);
    // Known draws, so that a change of the generator does not pass unseen.
    const std::vector<int32_t> small = {0, 0, 0, 0, 1, 1, 1, 1};
    EXPECT_EQ(make_split({small, {}, {"a", "b"}}, {.seed = 1234}).test, (Indices{2, 3, 4, 7}));
}

TEST(Splits, ExperimentTakesEverything) {
    const std::vector<int32_t> label = labels({3, 2, 1}, 4);
    const Split split = make_split({label, {}, three_classes}, {.name = "experiment"});
    EXPECT_TRUE(is_partition(split, label.size()));
    EXPECT_EQ(split.labelled.size(), 6u);
    EXPECT_EQ(split.unlabelled.size(), 4u);
    EXPECT_TRUE(split.test.empty());
}

TEST(Splits, FoldHoldsOutOneFoldAndHidesLabels) {
    std::vector<int32_t> label, fold;
    for (int f = 1; f <= 4; ++f)
        for (int c = 0; c < 3; ++c)
            for (int i = 0; i < 8; ++i) label.push_back(c), fold.push_back(f);
    label.insert(label.end(), {-1, -1, -1});
    fold.insert(fold.end(), {4, 1, -1});
    const Split split = make_split({label, fold, three_classes}, {.name = "fold:4", .labelled_share = 0.25});
    EXPECT_TRUE(is_partition(split, label.size()));
    EXPECT_EQ(counts_of(split.test, label), (std::map<int, int>{{0, 8}, {1, 8}, {2, 8}}));
    for (int32_t i : split.test) EXPECT_EQ(fold[static_cast<size_t>(i)], 4);
    EXPECT_EQ(counts_of(split.labelled, label), (std::map<int, int>{{0, 6}, {1, 6}, {2, 6}}));
    EXPECT_EQ(split.unlabelled.size(), 3 * 18 + 2u);
}

TEST(Splits, ImpossibleOnesNameTheClass) {
    const std::vector<int32_t> label = labels({4, 1, 0}, 4);
    const std::vector<std::string> two = {"a", "b"};
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({label, {}, two}, {.name = "simulation"});
        },
        {"simulation", "class 'b' has 1 labelled clips", "at least 2", "another split"}));
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({label, {}, three_classes}, {.name = "experiment"});
        },
        {"experiment", "class 'c' has 0 labelled clips"}));
    const std::vector<int32_t> pairs = {0, 0, 1, 1}, folds = {1, 2, 1, 1}, gap = {1, 2, -1, 1};
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({pairs, folds, two}, {.name = "fold:2"});
        },
        {"fold:2", "class 'b' has 0"}));
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({pairs, folds, two}, {.name = "fold:9"});
        },
        {"fold:9", "no labelled clip is in fold 9", "the folds are 1, 2"}));
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({pairs, gap, two}, {.name = "fold:1"});
        },
        {"fold:1", "clip 2 has a label but no fold"}));
    const std::vector<int32_t> none = {-1, -1, -1, -1};
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({pairs, none, two}, {.name = "fold:1"});
        },
        {"fold:1", "no labelled clip has a fold", "column 'fold'", "another split"}));
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({pairs, folds, two}, {.name = "fold:1", .labelled_share = 0});
        },
        {"share of 0 is impossible"}));
    for (const char* name : {"fold:", "fold:x", "fold:-1", "random", ""})
        EXPECT_TRUE(fails_with(
            [&] {
                make_split({pairs, folds, two}, {.name = name});
            },
            {"choose simulation"}))
            << name;
}

TEST(Splits, ThePapersCountsOnTheRealMetadata) {
    const std::filesystem::path real = test::shared_data() / "cas2023/dev_metadata.csv";
    if (!std::filesystem::exists(real)) GTEST_SKIP() << real << " is not there";
    const Dataset dataset = read_dataset(real, {.require_audio = false});
    std::vector<int32_t> label;
    for (const Clip& clip : dataset.clips) label.push_back(clip.label);
    const ClipColumns clips = {label, {}, dataset.classes};
    for (uint64_t seed : {1u, 2u, 1234u}) {
        const Split split = make_split(clips, {.name = "simulation", .seed = seed});
        EXPECT_TRUE(is_partition(split, label.size()));
        EXPECT_EQ(split.labelled.size(), 870u);
        EXPECT_EQ(split.test.size(), 870u);
        EXPECT_EQ(split.unlabelled.size(), 6960u);
        const auto train = counts_of(split.labelled, label), test = counts_of(split.test, label);
        for (const auto& [c, count] : train) EXPECT_NEAR(count, test.at(c), 1);
    }
    const Split experiment = make_split(clips, {.name = "experiment"});
    EXPECT_EQ(experiment.labelled.size(), 1740u);
    EXPECT_EQ(experiment.unlabelled.size(), 6960u);
    EXPECT_EQ(experiment.test.size(), 0u);
}

TEST(Splits, ValidationHoldsOutTheSameShareOfEveryClass) {
    const std::vector<int32_t> label = labels({50, 20, 1}, 10);
    Indices all(label.size());
    std::iota(all.begin(), all.end(), 0);
    const ValidationSplit split = validation_split(all, label, 0.2, 7);
    EXPECT_EQ(counts_of(split.validation, label), (std::map<int, int>{{0, 10}, {1, 4}, {-1, 2}}));
    EXPECT_EQ(counts_of(split.train, label), (std::map<int, int>{{0, 40}, {1, 16}, {2, 1}, {-1, 8}}));
    Indices together = split.train;
    together.insert(together.end(), split.validation.begin(), split.validation.end());
    std::sort(together.begin(), together.end());
    EXPECT_EQ(together, all);
    EXPECT_NE(split.validation, validation_split(all, label, 0.2, 8).validation);
}

TEST(Splits, FilesKeepThemAndRefuseDamage) {
    test::TemporaryFolder folder;
    const Split split = {"fold:4", 18446744073709551615u, {0, 3}, {1}, {2, 4}};
    const std::filesystem::path file = folder / "split.json";
    save_split(file, split, 5);
    EXPECT_EQ(load_split(file, 5), split);
    EXPECT_TRUE(fails_with([&] { load_split(file, 6); }, {"split.json", "store of 5 clips, this one has 6"}));
    EXPECT_TRUE(fails_with([&] { load_split(folder / "none", 5); }, {"none", "cannot be opened"}));
    const std::string text = test::read_text(file);
    const auto damaged = [&](const std::string& from, const std::string& to, const std::vector<std::string>& parts) {
        std::string other = text;
        other.replace(other.find(from), from.size(), to);
        test::write_text(file, other);
        return fails_with([&] { load_split(file, 5); }, parts);
    };
    EXPECT_TRUE(damaged("scene.cu split", "something", {"not a split file"}));
    EXPECT_TRUE(damaged("\"scene.cu split\"", "5", {"not a split file"}));
    EXPECT_TRUE(damaged("\"version\":1", "\"version\":2", {"version 2", "reads 1"}));
    EXPECT_TRUE(damaged("\"version\":1", "\"version\":1.5", {"damaged"}));
    EXPECT_TRUE(damaged("[0,3]", "[0,4294967299]", {"damaged"})) << "not clip 3";
    EXPECT_TRUE(damaged("[1]", "[true]", {"damaged"})) << "not clip 1";
    EXPECT_TRUE(damaged("[1]", "{\"a\":1}", {"damaged"}));
    EXPECT_TRUE(damaged("[2,4]", "[4,2]", {"damaged"})) << "clips ascend";
    EXPECT_TRUE(damaged("[2,4]", "[2,3]", {"clip 3 is in two parts"}));
    EXPECT_TRUE(damaged("[2,4]", "[2,5]", {"clip 5"}));
    EXPECT_TRUE(damaged("[2,4]", "\"x\"", {"damaged"}));
    EXPECT_TRUE(damaged("\"test\"", "\"text\"", {"damaged"}));
    EXPECT_TRUE(damaged("}", "", {"not a split file, or a damaged one"}));
}

TEST(Splits, AFileOfAnotherNumberOfClipsIsRefusedEitherWay) {
    test::TemporaryFolder folder;
    save_split(folder / "split.json", {"simulation", 1, {0}, {}, {1}}, 5);
    for (const int64_t clips : {2, 4, 6, 500})
        EXPECT_TRUE(fails_with([&] { load_split(folder / "split.json", clips); }, {"store of 5 clips"})) << clips;
    for (const auto& [part, clips] : {std::pair("labelled", Indices{-1}), {"unlabelled", {5}}, {"test", {2, 2}}}) {
        Split split{"x", 1, {}, {}, {}};
        (part[0] == 'l' ? split.labelled : part[0] == 'u' ? split.unlabelled : split.test) = clips;
        save_split(folder / "split.json", split, 5);
        EXPECT_TRUE(fails_with([&] { load_split(folder / "split.json", 5); }, {"in two parts or not in the store"}))
            << part;
    }
}

TEST(Splits, AFoldMayHaveAnyNumber) {
    const std::vector<int32_t> label = {0, 0, 0, 0}, fold = {0, 1, 10, 123};
    for (size_t clip = 0; clip < fold.size(); ++clip) {
        const Split split =
            make_split({label, fold, {"a"}}, {.name = "fold:" + std::to_string(fold[clip]), .labelled_share = 1});
        EXPECT_EQ(split.test, Indices{static_cast<int32_t>(clip)});
        EXPECT_EQ(split.labelled.size(), 3u);
    }
}

/// A fifth of five classes of one clip each would be a whole class.
TEST(Splits, ValidationLeavesEveryClassAClip) {
    const std::vector<int32_t> singles = {0, 1, 2, 3, 4}, pairs = {0, 0, 1, 1, 2, 2};
    const Indices five = {0, 1, 2, 3, 4}, six = {0, 1, 2, 3, 4, 5};
    for (uint64_t seed = 0; seed < 10; ++seed) {
        EXPECT_EQ(validation_split(five, singles, 0.2, seed).train, five);
        EXPECT_EQ(validation_split(five, singles, 0.9, seed).train, five);
        EXPECT_EQ(counts_of(validation_split(six, pairs, 0.9, seed).train, pairs),
                  (std::map<int, int>{{0, 1}, {1, 1}, {2, 1}}));
    }
}

TEST(Splits, ValidationIsAFifthByDefaultAndOnlyOfTheClipsGiven) {
    const std::vector<int32_t> label(100, 0);
    Indices some;
    for (int32_t i = 0; i < 100; i += 2) some.push_back(i);
    const ValidationSplit split = validation_split(some, label);
    EXPECT_EQ(split.validation.size(), 10u);
    EXPECT_EQ(split.validation, validation_split(some, label, 0.2, 1234).validation);
    for (const Indices* part : {&split.train, &split.validation})
        for (const int32_t clip : *part) EXPECT_EQ(clip % 2, 0);
}

/// A twentieth of eight clips rounds to none, but a class without a training clip could not be learnt.
TEST(Splits, AFoldsSmallShareLeavesEveryClassALabel) {
    std::vector<int32_t> label, fold;
    for (int f = 0; f < 2; ++f)
        for (int i = 0; i < 24; ++i) label.push_back(i % 3), fold.push_back(f);
    const ClipColumns clips = {label, fold, three_classes};
    EXPECT_EQ(counts_of(make_split(clips, {.name = "fold:0", .labelled_share = 0.05}).labelled, label),
              (std::map<int, int>{{0, 1}, {1, 1}, {2, 1}}));
    const Split whole = make_split(clips, {.name = "fold:0", .labelled_share = 1});
    EXPECT_EQ(whole.labelled.size(), 24u);
    EXPECT_TRUE(whole.unlabelled.empty());
    EXPECT_EQ(make_split(clips, {.name = "fold:0"}).labelled.size(), 5u) << "a fifth by default, rounded";
    EXPECT_TRUE(fails_with([&] { make_split(clips, {.name = "fold:0", .labelled_share = 1.01}); }, {"1.01"}));
}

/// The seed decides which of several equal classes are rounded up, and which clips of each class are drawn.
TEST(Splits, TheSeedRoundsAndEveryClassIsDrawnOnItsOwn) {
    std::vector<int32_t> label;
    for (int i = 0; i < 33; ++i) label.push_back(i % 3); // eleven of each: 5.5 to train
    std::set<std::map<int, int>> rounded;
    int alike = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
        const Split split = make_split({label, {}, three_classes}, {.seed = seed});
        EXPECT_EQ(split.labelled.size(), 17u); // 16.5, rounded
        rounded.insert(counts_of(split.labelled, label));
        std::set<int32_t> of_a, of_b; // positions within the class
        for (const int32_t clip : split.labelled) (clip % 3 == 0 ? of_a : of_b).insert(clip / 3);
        alike += of_a == of_b ? 1 : 0;
        EXPECT_EQ(split.seed, seed);
        EXPECT_EQ(split.name, "simulation");
    }
    EXPECT_GT(rounded.size(), 1u);
    EXPECT_LT(alike, 5);
}

/// A shuffle that never moves some element would always take the same one of two.
TEST(Splits, EitherOfTwoClipsMayTrain) {
    const std::vector<int32_t> pairs = {0, 0, 1, 1, 2, 2};
    std::set<int32_t> trained;
    for (uint64_t seed = 0; seed < 20; ++seed)
        for (const int32_t clip : make_split({pairs, {}, three_classes}, {.seed = seed}).labelled) trained.insert(clip);
    EXPECT_EQ(trained.size(), 6u);
}

TEST(Splits, AFoldThatHasAllClipsOfAClassCannotBeHeldOut) {
    const std::vector<int32_t> label = {0, 0, 1, 1}, fold = {1, 2, 1, 1};
    const std::vector<std::string> two = {"a", "b"};
    EXPECT_TRUE(fails_with(
        [&] {
            make_split({label, fold, two}, {.name = "fold:1"});
        },
        {"fold:1", "class 'b' has 0 labelled clips in the other folds to train on"}));
}

TEST(Splits, TheSeedChoosesTheLabelsThatAFoldKeeps) {
    std::vector<int32_t> label, fold;
    for (int i = 0; i < 60; ++i) label.push_back(i % 3), fold.push_back(i / 30);
    const ClipColumns clips = {label, fold, three_classes};
    const Split one = make_split(clips, {.name = "fold:0", .seed = 1}),
                two = make_split(clips, {.name = "fold:0", .seed = 2});
    EXPECT_NE(one.labelled, two.labelled);
    EXPECT_EQ(one.test, two.test);
    EXPECT_EQ(one, make_split(clips, {.name = "fold:0", .seed = 1}));
}

} // namespace
} // namespace scene
