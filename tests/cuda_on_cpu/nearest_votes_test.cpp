#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaNearestVotes, AreThoseOfTheCpu) {
    for (const int64_t members : {1, 33, 700}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            const Guarded different = uniform({5, members}, seed), often_equal = integers({5, members}, seed, -2, 2);
            Guarded label({members}, DType::I32);
            for (int64_t m = 0; m < members; ++m)
                label.as<int32_t>()[static_cast<size_t>(m)] = m % 5 == 2 ? -1 : static_cast<int32_t>(m * 3 % 10);
            for (const Guarded* similarity : {&different, &often_equal}) {
                for (const int64_t neighbours : {1, 7, 2000}) {
                    if (members == 700 && neighbours > 7) continue;
                    const Guarded votes({5, 10});
                    cpu().nearest_votes(votes, *similarity, label, neighbours, 0.25f);
                    const OnDevice d_votes(votes.shape()), d_similarity(*similarity), d_label(label);
                    cuda::nearest_votes(d_votes, d_similarity, d_label, neighbours, 0.25f, nullptr);
                    EXPECT_TRUE(close(d_votes, votes, rounding(DType::F32), "votes"))
                        << members << " members, " << neighbours << " neighbours";
                }
            }
        }
    }
}

TEST(CudaNearestVotes, WhatIsNotANumberIsTheFarthest) {
    const float nan = std::nanf("");
    const OnDevice votes(Shape{2, 3}), similarity(filled({2, 4}, {nan, -5, nan, -5, nan, nan, nan, nan}));
    const OnDevice label(filled_int({4}, {0, 1, 0, 2}));
    cuda::nearest_votes(votes, similarity, label, 2, 1, nullptr);
    EXPECT_EQ(votes.host()[0], 0);
    EXPECT_EQ(votes.host()[1], 0.5f);
    EXPECT_EQ(votes.host()[2], 0.5f);
    cuda::nearest_votes(votes, similarity, label, 1, 1, nullptr);
    EXPECT_EQ(votes.host()[3], 1) << "of all, the first";
}

TEST(CudaNearestVotes, NoMemberGivesNoVote) {
    const OnDevice votes(Shape{2, 3}), similarity(uniform({2, 2}, 1)), label(filled_int({2}, {-1, -1}));
    cuda::nearest_votes(votes, similarity, label, 5, 0.1f, nullptr);
    EXPECT_TRUE(close(votes, filled({2, 3}, std::vector<float>(6)), {}, "votes"));
}

} // namespace
} // namespace scene::test
