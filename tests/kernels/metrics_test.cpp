#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/tensors.h"

namespace scene::test {
namespace {

TEST(Metrics, AccumulateOverBatchesAndSkipUnlabelledRows) {
    const Guarded loss_sum({1}, DType::F64), confusion({3, 3}, DType::I32);
    loss_sum.as<double>()[0] = 0.5;
    std::fill_n(confusion.as<int32_t>().begin(), 9, 0);
    // Clip 0 right; 1 wrong; 2 unlabelled; 3 has equal probabilities and equal soft labels: the first of each.
    const Guarded loss = filled({4}, {1, 2, 0.25f, 4});
    const Guarded probabilities = filled({4, 3}, {0.1f, 0.7f, 0.2f, 0.2f, 0.3f, 0.5f, 0.9f, 0.1f, 0, 0.2f, 0.4f, 0.4f});
    const Guarded target = filled({4, 3}, {0, 1, 0, 1, 0, 0, 0, 0, 0, 0.5f, 0, 0.5f});
    for (int pass = 0; pass < 2; ++pass) cpu().accumulate_metrics(loss_sum, confusion, loss, probabilities, target);
    EXPECT_EQ(loss_sum.as<double>()[0], 0.5 + 2 * 7.25);
    const std::vector<int32_t> expected{0, 2, 2, 0, 2, 0, 0, 0, 0};
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), confusion.as<int32_t>().begin()));
}

/// A clip counts for the first of its largest targets, however small that is, unless it has none.
TEST(Metrics, SoftTargetsCountWhateverTheirHeight) {
    const Guarded loss_sum({1}, DType::F64), confusion = filled_int({3, 3}, std::vector<int32_t>(9, 0));
    loss_sum.as<double>()[0] = 0;
    const Guarded target = filled({7, 3}, {0.4f, 0.35f, 0.25f, 0.25f, 0.25f, 0.25f, 0, 0.5f, 0.5f, 0.2f, 0.2f,
                                           0.6f, 0,     0,     0,     1e-6f, 0,     0, 0,    0,    0.05f});
    const Guarded probabilities = filled({7, 3}, {0, 0, 1, 0, 0.5f, 0.5f, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0});
    cpu().accumulate_metrics(loss_sum, confusion, uniform({7}, 1), probabilities, target);
    const std::vector<int32_t> expected{0, 1, 2, 0, 0, 1, 1, 1, 0};
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), confusion.as<int32_t>().begin()));
}

TEST(Metrics, WrongShapesAndTypesAreRefused) {
    const Guarded sum({1}, DType::F64), single({1}), confusion({3, 3}, DType::I32), flat({9}, DType::I32);
    const Guarded loss = uniform({2}, 1), p = uniform({2, 3}, 1), four = uniform({2, 4}, 1);
    EXPECT_THROW(cpu().accumulate_metrics(single, confusion, loss, p, p), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, flat, loss, p, p), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, confusion, single, p, p), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, confusion, loss, p, four), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, confusion, loss, four, four), std::logic_error);
}

/// Equation (1) in double: 1/(confidence + 1e-8) over the members, scaled to mean 1.
std::vector<double> naive_weights(const Guarded& probabilities, const Guarded& member, Confidence measure) {
    const int64_t rows = probabilities.shape()[0], classes = probabilities.shape()[1];
    std::vector<double> weights;
    double sum = 0, members = 0;
    for (int64_t r = 0; r < rows; ++r) {
        double largest = 0, entropy = 0;
        for (int64_t k = 0; k < classes; ++k) {
            const double p = probabilities[r * classes + k];
            largest = std::max(largest, p);
            if (p > 0) entropy -= p * std::log2(p) / std::log2(static_cast<double>(classes));
        }
        const double least = 1 / static_cast<double>(classes);
        const double confidence = measure == Confidence::MaxSoftmax ? largest : std::max(1 - entropy, least);
        const bool is_member = member.as<int32_t>()[static_cast<size_t>(r)] != 0;
        weights.push_back(is_member ? 1 / (confidence + 1e-8) : 1);
        if (is_member) sum += weights.back(), ++members;
    }
    for (int64_t r = 0; r < rows; ++r)
        if (member.as<int32_t>()[static_cast<size_t>(r)] != 0) weights[static_cast<size_t>(r)] *= members / sum;
    return weights;
}

TEST(HardSampleWeights, HaveMeanOneOverTheMembers) {
    for (const int64_t classes : {10, 3}) {
        const int64_t rows = 101;
        const Guarded logits = uniform({rows, classes}, 1, -6, 6), probabilities({rows, classes}), weight({rows});
        const Guarded member({rows}, DType::I32);
        for (int64_t r = 0; r < rows; ++r)
            member.as<int32_t>()[static_cast<size_t>(r)] = r % 3 == 0 ? 0 : 1 + int(r % 2);
        cpu().softmax(probabilities, logits);
        std::vector<double> sums;
        for (const Confidence measure : {Confidence::MaxSoftmax, Confidence::Entropy}) {
            cpu().hard_sample_weights(weight, probabilities, member, measure);
            EXPECT_TRUE(close(weight, naive_weights(probabilities, member, measure), roundings(3), "weight"));
            double mean = 0, squares = 0;
            for (int64_t r = 0; r < rows; ++r)
                if (r % 3 != 0) mean += static_cast<double>(weight[r]) / 67, squares += weight[r] * weight[r];
            EXPECT_NEAR(mean, 1, 1e-7);
            sums.push_back(squares);
        }
        EXPECT_GT(std::abs(sums[0] - sums[1]), 0.1) << "the two measures differ";
    }
}

TEST(HardSampleWeights, EntropyIsBoundedForUndecidedAndCertainClips) {
    const Guarded weight({3});
    const Guarded probabilities = filled({3, 4}, {0.25f, 0.25f, 0.25f, 0.25f, 0, 1, 0, 0, 0.5f, 0.5f, 0, 0});
    cpu().hard_sample_weights(weight, probabilities, filled_int({3}, {1, 1, 1}), Confidence::Entropy);
    const double scale = 3.0 / (4 + 1 + 2); // confidence 1/4 (not 0), 1, and 1 - log 2/log 4
    EXPECT_TRUE(close(weight, {4 * scale, scale, 2 * scale}, {.of_largest = 2e-7}, "weight"));
}

TEST(HardSampleWeights, WithoutMembersAreOne) {
    const Guarded probabilities = uniform({5, 10}, 1, 0, 1), weight({5});
    cpu().hard_sample_weights(weight, probabilities, filled_int({5}, {0, 0, 0, 0, 0}), Confidence::MaxSoftmax);
    EXPECT_TRUE(close(weight, {1, 1, 1, 1, 1}, {}, "weight"));
}

TEST(HardSampleWeights, WrongShapesAreRefused) {
    const Confidence measure = Confidence::MaxSoftmax;
    const Guarded probabilities = uniform({5, 10}, 1, 0, 1), weight({5}), four({4});
    EXPECT_THROW(cpu().hard_sample_weights(four, probabilities, filled_int({5}, {0, 0, 0, 0, 0}), measure),
                 std::logic_error);
    EXPECT_THROW(cpu().hard_sample_weights(weight, probabilities, filled_int({4}, {0, 0, 0, 0}), measure),
                 std::logic_error);
    EXPECT_THROW(cpu().hard_sample_weights(weight, probabilities, weight, measure), std::logic_error);
}

} // namespace
} // namespace scene::test
