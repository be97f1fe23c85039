#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Metrics = AccumulateMetrics<HostArray>;

Metrics metrics_of(HostArray loss, HostArray probabilities, HostArray target) {
    const int64_t classes = probabilities.shape[1];
    return {.loss_sum = with_values({1}, {0.5}, DType::F64),
            .confusion =
                indices_of({classes, classes}, std::vector<int32_t>(static_cast<size_t>(classes * classes), 2)),
            .loss = std::move(loss),
            .probabilities = std::move(probabilities),
            .target = std::move(target)};
}

/// Integers as probabilities, so that equal maxima are frequent.
HostArray draws(int64_t batch, int64_t classes) {
    HostArray p = integer_activation({batch, classes}, 1, 0, 3);
    p.activation = false;
    return p;
}

TEST(AccumulateMetrics, LossAndConfusionAddUp) {
    for (const int64_t batch : {1, 13, 300}) {
        HostArray target = with_values({batch, 10}, std::vector<double>(static_cast<size_t>(batch * 10)));
        for (int64_t n = 0; n < batch; ++n)
            if (const int64_t label = n * 7 % 11 - 1; label >= 0) target[n * 10 + label] = 1; // else unlabelled
        expect_like_reference(metrics_of(uniform_f32({batch}, 2, 0, 5), draws(batch, 10), target));
    }
}

TEST(AccumulateMetrics, OddClassesAndSoftTargets) {
    for (const int64_t classes : {1, 2, 37})
        expect_like_reference(
            metrics_of(uniform_f32({29}, 2, 0, 5), draws(29, classes), uniform_f32({29, classes}, 3, 0, 1)));
}

TEST(AccumulateMetrics, OverTwoBatches) {
    // Clip 0 right; 1 wrong; 2 unlabelled; 3 has equal probabilities and equal soft labels: the first of each.
    Metrics first =
        metrics_of(with_values({4}, {1, 2, 0.25, 4}),
                   with_values({4, 3}, {0.1f, 0.7f, 0.2f, 0.2f, 0.3f, 0.5f, 0.9f, 0.1f, 0, 0.2f, 0.4f, 0.4f}),
                   with_values({4, 3}, {0, 1, 0, 1, 0, 0, 0, 0, 0, 0.5, 0, 0.5}));
    first.confusion = indices_of({3, 3}, std::vector<int32_t>(9));
    for_each_setting(false, [&](TestDevice& device, DType type) {
        Metrics second = first;
        const Metrics done = run_on(device, type, first);
        second.loss_sum = done.loss_sum;
        second.confusion = done.confusion;
        const Metrics both = run_on(device, type, second);
        EXPECT_EQ(both.loss_sum[0], 0.5 + 2 * 7.25);
        EXPECT_EQ(both.confusion.values, (std::vector<double>{0, 2, 2, 0, 2, 0, 0, 0, 0}));
    });
}

/// A clip counts for the first of its largest targets, however small that is. A row of zeros does not count.
TEST(AccumulateMetrics, SoftTargetsCountWhateverTheirHeight) {
    Metrics op = metrics_of(uniform_f32({7}, 1),
                            with_values({7, 3}, {0, 0, 1, 0, 0.5, 0.5, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0}),
                            with_values({7, 3}, {0.4f, 0.35f, 0.25f, 0.25f, 0.25f, 0.25f, 0, 0.5f, 0.5f, 0.2f, 0.2f,
                                                 0.6f, 0,     0,     0,     1e-6f, 0,     0, 0,    0,    0.05f}));
    op.confusion = indices_of({3, 3}, std::vector<int32_t>(9));
    expect_like_reference(op);
    EXPECT_EQ(run_reference(op).confusion.values, (std::vector<double>{0, 1, 2, 0, 0, 1, 1, 1, 0}));
}

TEST(AccumulateMetrics, SameBits) {
    expect_same_bits(metrics_of(uniform_f32({300}, 2, 0, 5), draws(300, 10), uniform_f32({300, 10}, 3, 0, 1)));
}

TEST(AccumulateMetrics, WrongShapesAndTypesAreRefused) {
    const auto refused = [](auto member, HostArray wrong) {
        Metrics op = metrics_of(uniform_f32({2}, 1), draws(2, 3), uniform_f32({2, 3}, 2));
        static_cast<HostArray&>(op.*member) = std::move(wrong);
        expect_refused(op);
    };
    refused(&Metrics::loss_sum, with_values({1}, {0}));
    refused(&Metrics::confusion, indices_of({9}, std::vector<int32_t>(9)));
    refused(&Metrics::confusion, with_values({3, 3}, std::vector<double>(9)));
    refused(&Metrics::loss, uniform_f32({1}, 1));
    refused(&Metrics::probabilities, draws(2, 4));
    refused(&Metrics::probabilities, uniform_f32({6}, 1));
    refused(&Metrics::target, uniform_f32({2, 4}, 2));
}

} // namespace
} // namespace scene::test
