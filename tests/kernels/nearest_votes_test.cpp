#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

/// All members sorted, then the vote by its definition.
std::vector<double> naive_votes(const Guarded& similarity, const Guarded& label, int64_t classes, int64_t neighbours,
                                double temperature) {
    const int64_t queries = similarity.shape()[0], members = similarity.shape()[1];
    const auto labels = label.as<int32_t>();
    std::vector<double> votes(static_cast<size_t>(queries * classes));
    for (int64_t query = 0; query < queries; ++query) {
        std::vector<size_t> order(static_cast<size_t>(members));
        std::iota(order.begin(), order.end(), size_t{0});
        std::erase_if(order, [&](size_t m) { return labels[m] < 0; });
        const auto at = [&](size_t m) {
            return static_cast<double>(similarity[query * members + static_cast<int64_t>(m)]);
        };
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return at(a) > at(b); });
        if (static_cast<int64_t>(order.size()) > neighbours) order.resize(static_cast<size_t>(neighbours));
        double total = 0;
        for (size_t m : order) total += std::exp(at(m) / temperature);
        for (size_t m : order)
            votes[static_cast<size_t>(query * classes + labels[m])] += std::exp(at(m) / temperature) / total;
    }
    return votes;
}

Guarded labels_with_gaps(int64_t members, int64_t classes) {
    Guarded label({members}, DType::I32);
    for (int64_t m = 0; m < members; ++m)
        label.as<int32_t>()[static_cast<size_t>(m)] = m % 7 == 3 ? -1 : static_cast<int32_t>(m * 5 % classes);
    return label;
}

TEST(NearestVotes, AreThoseOfASortOfAllMembers) {
    for (const int64_t members : {1, 9, 530}) {
        const Guarded similarity = uniform({13, members}, 1), label = labels_with_gaps(members, 10), votes({13, 10});
        for (const int64_t neighbours : {1, 5, 100, 1000}) {
            for (const float temperature : {0.05f, 0.5f}) {
                cpu().nearest_votes(votes, similarity, label, neighbours, temperature);
                EXPECT_TRUE(close(votes, naive_votes(similarity, label, 10, neighbours, double{temperature}),
                                  roundings(2), "votes"))
                    << members << " members, " << neighbours << " neighbours";
            }
        }
    }
}

TEST(NearestVotes, EqualSimilaritiesGoToTheFirstMembers) {
    const Guarded votes({1, 3}), similarity = filled({1, 5}, {0.5f, 0.5f, 0.5f, 0.5f, 0.5f});
    cpu().nearest_votes(votes, similarity, filled_int({5}, {-1, 2, 0, 0, 1}), 2, 0.1f);
    EXPECT_TRUE(close(votes, {0.5, 0, 0.5}, {}, "votes"));
}

TEST(NearestVotes, WhatIsNotANumberIsTheFarthest) {
    const float nan = std::nanf("");
    const Guarded votes({2, 3}), similarity = filled({2, 4}, {nan, -5, nan, -5, nan, nan, nan, nan});
    const Guarded label = filled_int({4}, {0, 1, 0, 2});
    cpu().nearest_votes(votes, similarity, label, 2, 1);
    EXPECT_EQ(votes[0], 0);
    EXPECT_EQ(votes[1], 0.5f);
    EXPECT_EQ(votes[2], 0.5f);
    cpu().nearest_votes(votes, similarity, label, 1, 1);
    EXPECT_EQ(votes[3], 1) << "of all, the first";
}

TEST(NearestVotes, NoMemberGivesNoVote) {
    const Guarded votes({2, 3}), similarity = uniform({2, 2}, 1);
    cpu().nearest_votes(votes, similarity, filled_int({2}, {-1, -1}), 5, 0.1f);
    EXPECT_TRUE(close(votes, {0, 0, 0, 0, 0, 0}, {}, "votes"));
}

TEST(NearestVotes, AreTheSameBitsOnAnyNumberOfThreads) {
    const Guarded similarity = integers({37, 90}, 1, -3, 3), label = labels_with_gaps(90, 4);
    expect_same_bits([&](Backend& backend) {
        std::vector<Guarded> out{Guarded({37, 4})};
        backend.nearest_votes(out[0], similarity, label, 11, 0.3f);
        return out;
    });
}

TEST(NearestVotes, WrongOperandsAreRefused) {
    const Guarded votes({2, 3}), similarity = uniform({2, 4}, 1), label = filled_int({4}, {0, 1, 2, -1});
    const Guarded three({3}, DType::I32), high = filled_int({4}, {0, 1, 3, -1});
    EXPECT_THROW(cpu().nearest_votes(votes, similarity, three, 1, 0.1f), std::logic_error);
    EXPECT_THROW(cpu().nearest_votes(votes, similarity, high, 1, 0.1f), std::logic_error);
    EXPECT_THROW(cpu().nearest_votes(votes, uniform({3, 4}, 1), label, 1, 0.1f), std::logic_error);
    EXPECT_THROW(cpu().nearest_votes(votes, similarity, label, 0, 0.1f), std::logic_error);
    EXPECT_THROW(cpu().nearest_votes(votes, similarity, label, 1, 0), std::logic_error);
}

} // namespace
} // namespace scene::test
