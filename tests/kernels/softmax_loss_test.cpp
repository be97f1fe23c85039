#include "tests/support/op_test.h"

namespace scene::test {
namespace {

using Loss = SoftmaxLoss<HostArray>;

struct Case {
    int64_t batch, classes;
    float smoothing = 0.1f, loss_scale = 1;
    double range = 5; ///< of the logits

    std::string text() const {
        return std::to_string(batch) + "x" + std::to_string(classes) + " smoothing " + std::to_string(smoothing) +
               " loss scale " + std::to_string(loss_scale) + " range " + std::to_string(range);
    }
};

const std::vector<Case> cases = {{1, 10, 0}, {3, 10}, {7, 10, 0.1f, 1024}, {64, 10, 0.1f, 128}, {1, 1},
                                 {2, 1},     {9, 33}, {5, 37, 0.3f},       {17, 100, 0.1f, 128}};

/// Rows that sum to 1: hard labels, and soft ones as of mixup.
HostArray targets(int64_t batch, int64_t classes) {
    HostArray target = with_values({batch, classes}, std::vector<double>(static_cast<size_t>(batch * classes)));
    for (int64_t n = 0; n < batch; ++n) {
        const int64_t label = (3 * n + 1) % classes, other = (label + n % 2) % classes;
        target[n * classes + label] += 0.75;
        target[n * classes + other] += 0.25;
    }
    return target;
}

Loss loss_of(HostArray logits, HostArray target, HostArray weight, float smoothing, float loss_scale) {
    const Shape shape = logits.shape;
    HostArray dlogits = empty(shape);
    dlogits.activation = logits.activation;
    return {.dlogits = std::move(dlogits),
            .loss = empty({shape[0]}),
            .probabilities = empty(shape),
            .logits = std::move(logits),
            .target = std::move(target),
            .weight = std::move(weight),
            .control = control_of({.loss_scale = loss_scale}),
            .smoothing = smoothing};
}

Loss loss_of(const Case& c) {
    return loss_of(uniform_activation({c.batch, c.classes}, 1, -c.range, c.range), targets(c.batch, c.classes),
                   uniform_f32({c.batch}, 2, 0.5, 3), c.smoothing, c.loss_scale);
}

TEST(SoftmaxLoss, EqualsTheReference) {
    for (const Case& c : cases) expect_like_reference(loss_of(c), c.text());
}

TEST(SoftmaxLoss, LargeLogits) {
    expect_like_reference(loss_of({13, 10, 0.1f, 128, 60}));
    const Loss op = loss_of(with_values({2, 3}, {500, -500, 0, 80000, 80000, -80000}),
                            with_values({2, 3}, {0, 1, 0, 1, 0, 0}), with_values({2}, {1, 1}), 0, 1);
    expect_like_reference(op);
    EXPECT_TRUE(near_all(run_reference(op).loss, {1000, std::log(2.0)}, 1e-12));
}

/// The batch's loss is the mean over clips, times the loss scale.
TEST(SoftmaxLoss, ReferenceGradientsAreFiniteDifferences) {
    for (const Case& c : cases) {
        if (c.batch * c.classes > 200) continue;
        const Loss forward = loss_of(c);
        HostArray mean =
            with_values({c.batch}, std::vector<double>(static_cast<size_t>(c.batch), static_cast<double>(c.loss_scale) /
                                                                                         static_cast<double>(c.batch)));
        EXPECT_TRUE(
            near_all(run_reference(forward).dlogits, numeric_gradient(forward, &Loss::logits, &Loss::loss, mean)))
            << c.text();
    }
}

TEST(SoftmaxLoss, WithoutAGradientTheRestIsTheSame) {
    for_each_setting(true, [](TestDevice& device, DType type) {
        const Loss all = rounded(loss_of(cases[3]), type), done = run_on(device, type, all);
        Loss rest = all;
        rest.dlogits = HostArray();
        rest.control = HostArray();
        const Loss without = run_on(device, type, rest);
        EXPECT_EQ(without.loss.values, done.loss.values);
        EXPECT_EQ(without.probabilities.values, done.probabilities.values);
    });
}

/// A target of zeros leaves the loss of label smoothing alone. A weight of 0 gives neither loss nor gradient.
TEST(SoftmaxLoss, ClipsWithoutATargetOrWithoutWeight) {
    for (const float smoothing : {0.0f, 0.1f, 0.5f}) {
        Loss op = loss_of({9, 10, smoothing, 8});
        for (int64_t k = 0; k < 10; ++k) op.target[k] = op.target[70 + k] = 0;
        op.weight[1] = op.weight[7] = 0;
        expect_like_reference(op);
        for_each_setting(true, [&](TestDevice& device, DType type) {
            const Loss done = run_on(device, type, rounded(op, type));
            EXPECT_EQ(done.loss[0] == 0, smoothing == 0);
            EXPECT_EQ(done.loss[1], 0);
            for (int64_t k = 0; k < 10; ++k) EXPECT_EQ(done.dlogits[10 + k], 0);
        });

        const double q = static_cast<double>(smoothing) / 2, both = std::log(4.0) + std::log(4.0 / 3);
        const Loss known = run_reference(loss_of(with_values({3, 2}, {0, std::log(3.0), 0, std::log(3.0), 300, -300}),
                                                 with_values({3, 2}, {0, 0, 0.5, 0.5, 0, 1}),
                                                 with_values({3}, {2, 0.5, 0}), smoothing, 1));
        EXPECT_TRUE(near_all(known.loss, {2 * q * both, 0.5 * 0.5 * both, 0}, 1e-12));
        EXPECT_TRUE(
            near_all(known.dlogits, {2 * (0.25 - q) / 3, 2 * (0.75 - q) / 3, -0.125 / 3, 0.125 / 3, 0, 0}, 1e-12));
    }
}

TEST(SoftmaxLoss, NanReachesTheLossOfItsClip) {
    for_each_setting(true, [](TestDevice& device, DType type) {
        Loss op = rounded(loss_of({2, 10}), type);
        op.logits[13] = std::nan("");
        const Loss done = run_on(device, type, op);
        EXPECT_TRUE(std::isfinite(done.loss[0]));
        EXPECT_TRUE(std::isnan(done.loss[1]));
        EXPECT_TRUE(std::isnan(done.dlogits[15]));
    });
}

TEST(SoftmaxLoss, SameBits) { expect_same_bits(loss_of({33, 10, 0.1f, 64})); }

TEST(SoftmaxLoss, WrongShapesAreRefused) {
    const auto refused = [](auto member, HostArray wrong) {
        Loss op = loss_of({2, 10});
        static_cast<HostArray&>(op.*member) = std::move(wrong);
        expect_refused(op);
    };
    refused(&Loss::dlogits, empty_activation({2, 9}));
    refused(&Loss::loss, empty({3}));
    refused(&Loss::probabilities, empty({2, 9}));
    refused(&Loss::logits, uniform_activation({20}, 1));
    refused(&Loss::target, targets(2, 9));
    refused(&Loss::weight, uniform_f32({3}, 1));
    refused(&Loss::control, HostArray()); // with a gradient
}

} // namespace
} // namespace scene::test
