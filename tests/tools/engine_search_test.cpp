// The search for the quickest engine within a budget of time, with stand-ins for engines and a clock that only they
// move.

#include "kernels/cuda/autotune/engine_search.h"

#include <functional>
#include <map>

#include "kernels/cuda/autotune/quickest.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::test {
namespace {

using cuda::AutotuneBudget;
using cuda::Candidate;
using cuda::EngineSearch;
using cuda::PlanCache;

constexpr const char* problem = "forward F16 [16, 250, 32, 144]";

class EngineSearchTest : public testing::Test {
protected:
    AutotuneBudget budget(double seconds) {
        return AutotuneBudget(seconds, [this] { return now_; });
    }
    /// Building takes `build_seconds`, a run `run_seconds`.
    Candidate engine(const std::string& name, double build_seconds, double run_seconds, double expected = 0.01) {
        return {name,
                [this, name, build_seconds] {
                    now_ += build_seconds;
                    ++built_[name];
                    return true;
                },
                [this, name, run_seconds] {
                    now_ += run_seconds;
                    ++runs_[name];
                    return run_seconds;
                },
                expected};
    }
    Candidate without_plan(const std::string& name) {
        return {name, [] { return false; }, [] { return 0.0; }, 0.01};
    }
    std::optional<cuda::SearchResult> search(PlanCache& cache, AutotuneBudget& budget,
                                             const std::vector<Candidate>& candidates, size_t most = 12) {
        return EngineSearch(cache, budget, [] { return false; }).search(problem, candidates, most);
    }

    double now_ = 1000;
    std::map<std::string, int> built_, runs_;
    TemporaryFolder folder_;
    const std::filesystem::path file_ = folder_ / "gpu.plans";
};

TEST_F(EngineSearchTest, WithoutALimitEverythingIsMeasured) {
    PlanCache cache(file_);
    AutotuneBudget unlimited = budget(0);
    const auto found = search(
        cache, unlimited,
        {without_plan("none"), engine("a", 1000, 0.02), engine("b", 1000, 0.01, 1000), engine("c", 1000, 0.03)}, 2);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->index, 2u);
    EXPECT_EQ(found->entry.microseconds, 1e4);
    EXPECT_EQ(found->entry.left_out, 0) << "the third was not among the most";
    EXPECT_EQ(built_["c"], 0);
    EXPECT_FALSE(search(cache, unlimited, {without_plan("none")}));
}

/// Longer than expected: what the first took counts for the others.
TEST_F(EngineSearchTest, BuildingStopsBeforeTheBudgetIsSpent) {
    PlanCache cache(file_);
    AutotuneBudget ten = budget(10);
    std::vector<Candidate> candidates;
    for (int i = 0; i < 12; ++i) candidates.push_back(engine("engine " + std::to_string(i), 4, 0.01));
    const auto found = search(cache, ten, candidates);
    ASSERT_TRUE(found);
    EXPECT_EQ(built_.size(), 2u) << "a third would be ready after 12 seconds";
    EXPECT_GT(runs_["engine 1"], 0);
    EXPECT_EQ(found->entry.left_out, 10);
    EXPECT_EQ(found->entry.budget_seconds, 10);
    EXPECT_LE(ten.spent(), 10);
}

TEST_F(EngineSearchTest, WhatIsExpectedToTakeTooLongIsNotBuilt) {
    PlanCache cache(file_);
    AutotuneBudget three = budget(3);
    const auto found = search(cache, three, {engine("quick", 0.01, 0.02), engine("compiled", 3.3, 0.01, 3.3)});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->entry.choice, "quick");
    EXPECT_EQ(found->entry.left_out, 1);
    EXPECT_EQ(built_["compiled"], 0);
}

TEST_F(EngineSearchTest, MeasuringStopsWhenTheBudgetIsSpent) {
    PlanCache cache(file_);
    AutotuneBudget ten = budget(10);
    const auto found = search(cache, ten, {engine("a", 0, 2), engine("b", 0, 1), engine("c", 0, 0.5)});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->entry.choice, "a") << "five runs of it took ten seconds";
    EXPECT_EQ(found->entry.left_out, 2);
    EXPECT_EQ(runs_["b"] + runs_["c"], 0);
}

/// The step has to run all the same.
TEST_F(EngineSearchTest, WithoutTimeTheFirstThatCanBeBuiltIsTakenAndNotMeasured) {
    PlanCache cache(file_);
    AutotuneBudget one = budget(1);
    now_ += 5;
    const auto found = search(cache, one, {without_plan("none"), engine("a", 3, 1), engine("b", 0, 0.1)});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->index, 1u);
    EXPECT_EQ(found->entry.microseconds, 0);
    EXPECT_EQ(found->entry.left_out, 2);
    EXPECT_TRUE(runs_.empty());
    one.begin_step();
    EXPECT_TRUE(one.allows(0.9)) << "the next step has its own";
}

/// In the next process, too. Nothing is spent on it, and the decision stays.
TEST_F(EngineSearchTest, WhatIsCachedIsFree) {
    const std::vector<Candidate> candidates{engine("a", 1, 0.02), engine("b", 1, 0.01)};
    PlanCache cache(file_);
    AutotuneBudget large = budget(100);
    ASSERT_TRUE(search(cache, large, candidates));
    PlanCache later(file_);
    for (const double seconds : {0.0, 1.0, 1000.0}) {
        AutotuneBudget other = budget(seconds);
        const auto known = EngineSearch(later, other, {}).known(problem);
        ASSERT_TRUE(known) << seconds;
        EXPECT_EQ(known->choice, "b");
        EXPECT_EQ(known->left_out, 0);
    }
    AutotuneBudget other = budget(1);
    EXPECT_FALSE(EngineSearch(later, other, {}).known("another problem"));
}

/// The same budget decides the same from the cache; a larger one, or none, searches again.
TEST_F(EngineSearchTest, ALimitedResultIsNotTakenForAFullOne) {
    const std::vector<Candidate> candidates{engine("a", 4, 0.02), engine("b", 4, 0.01), engine("c", 4, 0.015)};
    {
        PlanCache cache(file_);
        AutotuneBudget five = budget(5);
        EXPECT_EQ(search(cache, five, candidates)->entry.choice, "a");
    }
    PlanCache cache(file_);
    const auto known_within = [&](double seconds) {
        AutotuneBudget other = budget(seconds);
        return EngineSearch(cache, other, {}).known(problem);
    };
    EXPECT_EQ(known_within(5)->choice, "a");
    EXPECT_EQ(known_within(5)->left_out, 2);
    EXPECT_TRUE(known_within(2)) << "it would find no more";
    EXPECT_FALSE(known_within(6));
    EXPECT_FALSE(known_within(0)) << "no limit";
    AutotuneBudget more = budget(100);
    const auto found = search(cache, more, candidates);
    EXPECT_EQ(found->entry.choice, "b");
    EXPECT_EQ(found->entry.left_out, 0);
    EXPECT_EQ(known_within(0)->choice, "b");
}

TEST_F(EngineSearchTest, FailuresAreNamed) {
    PlanCache cache(file_);
    AutotuneBudget unlimited = budget(0);
    const Candidate broken{"broken", [] { return true; }, []() -> double { fail("bad knobs"); }, 0};
    const auto found = search(cache, unlimited, {broken, engine("a", 0, 0.01)});
    EXPECT_EQ(found->entry.choice, "a");
    EXPECT_EQ(found->entry.left_out, 0) << "it was tried";
    EXPECT_EQ(found->failures, "broken: bad knobs");
    EXPECT_TRUE(fails_with([&] { search(cache, unlimited, {broken}); }, {"broken: bad knobs"}));
    EXPECT_THROW(EngineSearch(cache, unlimited, [] { return true; }).search(problem, {broken}, 1), cuda::BrokenDevice);
}

} // namespace
} // namespace scene::test
