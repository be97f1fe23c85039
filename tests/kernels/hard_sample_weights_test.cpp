#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Weights = HardSampleWeights<HostArray>;

constexpr Confidence measures[] = {Confidence::MaxSoftmax, Confidence::Entropy};

Weights weights_of(HostArray probabilities, const std::vector<int32_t>& member, Confidence measure) {
    const auto rows = static_cast<int64_t>(member.size());
    return {.weight = empty({rows}),
            .probabilities = std::move(probabilities),
            .member = indices_of({rows}, member),
            .measure = measure};
}

/// Every third row is no member.
Weights weights_of(int64_t rows, int64_t classes, Confidence measure) {
    const HostArray logits = uniform_f32({rows, classes}, 1, -6, 6);
    std::vector<int32_t> member;
    for (int64_t r = 0; r < rows; ++r) member.push_back(r % 3 == 1 ? 0 : static_cast<int32_t>(1 + r % 2));
    return weights_of(
        run_reference(Softmax<HostArray>{.probabilities = empty(logits.shape), .logits = logits}).probabilities, member,
        measure);
}

TEST(HardSampleWeights, EqualTheReference) {
    for (const Confidence measure : measures)
        for (const int64_t rows : {1, 50, 101, 2100})
            for (const int64_t classes : {2, 3, 10})
                expect_like_reference(weights_of(rows, classes, measure),
                                      std::to_string(rows) + " rows, " + std::to_string(classes) + " classes");
}

TEST(HardSampleWeights, HaveMeanOneOverTheMembers) {
    for_each_setting(false, [](TestDevice& device, DType type) {
        std::vector<double> sums;
        for (const Confidence measure : measures) {
            const Weights done = run_on(device, type, rounded(weights_of(101, 10, measure), type));
            double mean = 0, squares = 0;
            for (int64_t r = 0; r < 101; ++r) {
                if (r % 3 == 1) {
                    EXPECT_EQ(done.weight[r], 1);
                } else {
                    mean += done.weight[r] / 67, squares += done.weight[r] * done.weight[r];
                }
            }
            EXPECT_NEAR(mean, 1, 1e-7);
            sums.push_back(squares);
        }
        EXPECT_GT(std::abs(sums[0] - sums[1]), 0.1) << "the two measures differ";
    });
}

/// Undecided, certain and tied clips. Any number but 0 makes a member. Without members all weights are 1.
TEST(HardSampleWeights, OfEveryKindOfClip) {
    const HostArray probabilities =
        with_values({5, 4}, {0.25, 0.25, 0.25, 0.25, 0, 1, 0, 0, 0.5, 0.5, 0, 0, 0.4f, 0.3f, 0.2f, 0.1f, 0, 0, 0, 1});
    for (const Confidence measure : measures) {
        for (const std::vector<int32_t>& members : {std::vector<int32_t>{1, 1, 1, 1, 1},
                                                    {0, 0, 0, 0, 0},
                                                    {2, 0, 3, 0, 1},
                                                    {0, 0, 0, 0, 7},
                                                    {0, -1, 0, 1, 0}}) {
            const Weights op = weights_of(probabilities, members, measure);
            expect_like_reference(op);
            for_each_setting(false, [&](TestDevice& device, DType type) {
                const Weights done = run_on(device, type, op);
                for (int64_t n = 0; n < 5; ++n) {
                    if (members[static_cast<size_t>(n)] == 0) { EXPECT_EQ(done.weight[n], 1); }
                }
            });
        }
    }
}

TEST(HardSampleWeights, ReferenceEntropyIsBoundedForUndecidedClips) {
    const Weights op = weights_of(with_values({3, 4}, {0.25, 0.25, 0.25, 0.25, 0, 1, 0, 0, 0.5, 0.5, 0, 0}), {1, 1, 1},
                                  Confidence::Entropy);
    const double scale = 3.0 / (4 + 1 + 2); // confidence 1/4 (not 0), 1, and 1 - log 2/log 4
    EXPECT_TRUE(near_all(run_reference(op).weight, {4 * scale, scale, 2 * scale}, 1e-7));
}

TEST(HardSampleWeights, SameBits) {
    for (const Confidence measure : measures) expect_same_bits(weights_of(2100, 10, measure));
}

TEST(HardSampleWeights, WrongShapesAndTypesAreRefused) {
    const auto refused = [](auto member, HostArray wrong) {
        Weights op = weights_of(5, 10, Confidence::MaxSoftmax);
        static_cast<HostArray&>(op.*member) = std::move(wrong);
        expect_refused(op);
    };
    refused(&Weights::weight, empty({4}));
    refused(&Weights::probabilities, uniform_f32({4, 10}, 1, 0, 1));
    refused(&Weights::probabilities, uniform_f32({50}, 1, 0, 1));
    refused(&Weights::member, indices_of({4}, {0, 0, 0, 0}));
    refused(&Weights::member, uniform_f32({5}, 1));
}

} // namespace
} // namespace scene::test
