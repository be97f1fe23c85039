#include <algorithm>
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

TEST(Metrics, WrongShapesAndTypesAreRefused) {
    const Guarded sum({1}, DType::F64), single({1}), confusion({3, 3}, DType::I32), flat({9}, DType::I32);
    const Guarded loss = uniform({2}, 1), p = uniform({2, 3}, 1), four = uniform({2, 4}, 1);
    EXPECT_THROW(cpu().accumulate_metrics(single, confusion, loss, p, p), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, flat, loss, p, p), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, confusion, single, p, p), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, confusion, loss, p, four), std::logic_error);
    EXPECT_THROW(cpu().accumulate_metrics(sum, confusion, loss, four, four), std::logic_error);
}

TEST(HardSampleWeights, HaveMeanOneOverTheMembers) {
    const int64_t rows = 101, classes = 10;
    const Guarded probabilities = uniform({rows, classes}, 1, 0, 1), weight({rows});
    Guarded member({rows}, DType::I32);
    for (int64_t r = 0; r < rows; ++r) member.as<int32_t>()[static_cast<size_t>(r)] = r % 3 == 0 ? 0 : 1 + int(r % 2);
    cpu().hard_sample_weights(weight, probabilities, member);
    std::vector<double> expected;
    double sum = 0, members = 0;
    for (int64_t r = 0; r < rows; ++r) {
        double confidence = 0;
        for (int64_t k = 0; k < classes; ++k)
            confidence = std::max(confidence, static_cast<double>(probabilities[r * classes + k]));
        expected.push_back(r % 3 == 0 ? 1 : 1 / (confidence + 1e-8));
        if (r % 3 != 0) sum += expected.back(), ++members;
    }
    double mean = 0;
    for (int64_t r = 0; r < rows; ++r)
        if (r % 3 != 0) {
            expected[static_cast<size_t>(r)] *= members / sum;
            mean += static_cast<double>(weight[r]) / members;
        }
    EXPECT_TRUE(close(weight, expected, roundings(2), "weight"));
    EXPECT_NEAR(mean, 1, 1e-7);
}

TEST(HardSampleWeights, WithoutMembersAreOne) {
    const Guarded probabilities = uniform({5, 10}, 1, 0, 1), weight({5});
    cpu().hard_sample_weights(weight, probabilities, filled_int({5}, {0, 0, 0, 0, 0}));
    EXPECT_TRUE(close(weight, {1, 1, 1, 1, 1}, {}, "weight"));
}

TEST(HardSampleWeights, WrongShapesAreRefused) {
    const Guarded probabilities = uniform({5, 10}, 1, 0, 1), weight({5}), four({4});
    EXPECT_THROW(cpu().hard_sample_weights(four, probabilities, filled_int({5}, {0, 0, 0, 0, 0})), std::logic_error);
    EXPECT_THROW(cpu().hard_sample_weights(weight, probabilities, filled_int({4}, {0, 0, 0, 0})), std::logic_error);
    EXPECT_THROW(cpu().hard_sample_weights(weight, probabilities, weight), std::logic_error);
}

} // namespace
} // namespace scene::test
