#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Votes = NearestVotes<HostArray>;

const double nan = std::nan("");

Votes votes_of(HostArray similarity, const std::vector<int32_t>& label, int64_t classes, int64_t neighbours,
               float temperature) {
    const int64_t queries = similarity.shape[0];
    return {.votes = empty({queries, classes}),
            .similarity = std::move(similarity),
            .label = indices_of({static_cast<int64_t>(label.size())}, label),
            .neighbours = neighbours,
            .temperature = temperature};
}

std::vector<int32_t> labels_with_gaps(int64_t members, int64_t classes) {
    std::vector<int32_t> label;
    for (int64_t m = 0; m < members; ++m) label.push_back(m % 7 == 3 ? -1 : static_cast<int32_t>(m * 5 % classes));
    return label;
}

/// Small whole numbers, so that equal similarities are frequent.
HostArray whole_numbers(const Shape& shape, uint64_t seed) {
    HostArray similarity = integer_activation(shape, seed, -3, 3);
    similarity.activation = false;
    return similarity;
}

TEST(NearestVotes, EqualTheReference) {
    struct Case {
        int64_t queries, members, neighbours;
    };
    for (const Case& c : std::vector<Case>{
             {13, 1, 1}, {3, 1, 5}, {13, 9, 5}, {3, 9, 100}, {5, 33, 1}, {1, 33, 1000}, {5, 530, 7}, {1, 530, 40}}) {
        const Shape shape{c.queries, c.members};
        const std::vector<int32_t> label = labels_with_gaps(c.members, 10);
        const std::string text = shape.text() + ", " + std::to_string(c.neighbours) + " neighbours";
        expect_like_reference(votes_of(uniform_f32(shape, 1), label, 10, c.neighbours, 0.05f), text);
        expect_like_reference(votes_of(whole_numbers(shape, 2), label, 10, c.neighbours, 0.5f), text);
    }
}

TEST(NearestVotes, EqualSimilaritiesGoToTheFirstMembers) {
    const Votes op = votes_of(with_values({1, 5}, std::vector<double>(5, 0.5)), {-1, 2, 0, 0, 1}, 3, 2, 0.1f);
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, op).votes.values, (std::vector<double>{0.5, 0, 0.5}));
    });
}

TEST(NearestVotes, WhatIsNotANumberIsTheFarthest) {
    const HostArray similarity = with_values({2, 4}, {nan, -5, nan, -5, nan, nan, nan, nan});
    const Votes of_two = votes_of(similarity, {0, 1, 0, 2}, 3, 2, 1),
                of_one = votes_of(similarity, {0, 1, 0, 2}, 3, 1, 1);
    expect_like_reference(of_one);
    for_each_setting(false, [&](TestDevice& device, DType type) {
        const HostArray votes = run_on(device, type, of_two).votes;
        EXPECT_EQ(votes[0], 0);
        EXPECT_EQ(votes[1], 0.5);
        EXPECT_EQ(votes[2], 0.5);
        for (int64_t c = 3; c < 6; ++c) EXPECT_TRUE(std::isnan(votes[c])) << "of a query without any number";
        EXPECT_EQ(run_on(device, type, of_one).votes[3], 1) << "of all, the first";
    });
}

TEST(NearestVotes, NoMemberGivesNoVote) {
    const Votes op = votes_of(uniform_f32({2, 2}, 1), {-1, -1}, 3, 5, 0.1f);
    for_each_setting(false, [&](TestDevice& device, DType type) {
        EXPECT_EQ(run_on(device, type, op).votes.values, std::vector<double>(6));
    });
}

/// A GPU has the labels in its own memory and cannot throw: it leaves the member out.
TEST(NearestVotes, ALabelBeyondTheClassesIsRefusedOrNoMember) {
    const HostArray similarity = uniform_f32({2, 4}, 1);
    for_each_setting(false, [&](TestDevice& device, DType type) {
        HostArray votes;
        try {
            votes = run_on(device, type, votes_of(similarity, {0, 1, 3, 2}, 3, 3, 0.1f)).votes;
        } catch (const std::logic_error&) { return; }
        EXPECT_EQ(votes.values, run_on(device, type, votes_of(similarity, {0, 1, -1, 2}, 3, 3, 0.1f)).votes.values);
    });
}

TEST(NearestVotes, SameBits) {
    expect_same_bits(votes_of(whole_numbers({37, 50}, 1), labels_with_gaps(50, 4), 4, 7, 0.3f));
}

TEST(NearestVotes, WrongOperandsAreRefused) {
    const auto right = [] { return votes_of(uniform_f32({2, 4}, 1), {0, 1, 2, -1}, 3, 1, 0.1f); };
    const auto refused = [&](auto member, HostArray wrong) {
        Votes op = right();
        static_cast<HostArray&>(op.*member) = std::move(wrong);
        expect_refused(op);
    };
    refused(&Votes::label, indices_of({3}, {0, 1, 2}));
    refused(&Votes::label, uniform_f32({4}, 1));
    refused(&Votes::similarity, uniform_f32({3, 4}, 1));
    refused(&Votes::votes, empty({6}));
    Votes op = right();
    op.neighbours = 0;
    expect_refused(op);
    op = right();
    op.temperature = 0;
    expect_refused(op);
}

} // namespace
} // namespace scene::test
