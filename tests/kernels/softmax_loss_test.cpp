#include <cmath>
#include <numeric>
#include <vector>

#include "tests/support/gradients.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

struct Case {
    int64_t batch, classes;
    float smoothing, loss_scale;
};

const std::vector<Case> cases{{1, 10, 0, 1}, {3, 10, 0.1f, 1}, {7, 10, 0.1f, 1024}, {2, 1, 0.1f, 1}, {5, 37, 0.3f, 1}};

/// Rows that sum to 1: hard labels, and soft ones such as mixup gives.
Guarded targets(const Case& c) {
    Guarded target({c.batch, c.classes});
    for (int64_t n = 0; n < c.batch; ++n)
        for (int64_t k = 0; k < c.classes; ++k) {
            const int64_t label = (3 * n + 1) % c.classes, other = (label + n % 2) % c.classes;
            target[n * c.classes + k] = (k == label ? 0.75f : 0.0f) + (k == other ? 0.25f : 0.0f);
        }
    return target;
}

struct Reference {
    Values probabilities, loss;
};

Reference reference(const Case& c, const Values& logits, const Values& target, const Values& weight) {
    Reference out;
    for (int64_t n = 0; n < c.batch; ++n) {
        const auto row = static_cast<size_t>(n * c.classes), classes = static_cast<size_t>(c.classes);
        double sum = 0, loss = 0;
        for (size_t k = 0; k < classes; ++k) sum += std::exp(logits[row + k]);
        for (size_t k = 0; k < classes; ++k) {
            out.probabilities.push_back(std::exp(logits[row + k]) / sum);
            const double smoothing = static_cast<double>(c.smoothing);
            const double q = (1 - smoothing) * target[row + k] + smoothing / static_cast<double>(classes);
            loss -= q * std::log(out.probabilities.back());
        }
        out.loss.push_back(weight[static_cast<size_t>(n)] * loss);
    }
    return out;
}

TEST(SoftmaxLoss, EqualsTheReferenceAndFiniteDifferences) {
    for (const Case& c : cases) {
        const Shape shape{c.batch, c.classes};
        const Guarded logits = uniform(shape, 1, -5, 5), target = targets(c), weight = uniform({c.batch}, 2, 0.5f, 3);
        const Guarded dlogits(shape), loss({c.batch}), probabilities(shape);
        const Guarded control = control_with({.loss_scale = c.loss_scale});
        cpu().softmax_loss(dlogits, loss, probabilities, logits, target, weight, c.smoothing, control);
        const Reference expected = reference(c, logits.doubles(), target.doubles(), weight.doubles());
        EXPECT_TRUE(close(probabilities, expected.probabilities, {.relative = 1e-6}, "probabilities"));
        EXPECT_TRUE(close(loss, expected.loss, roundings(8), "loss"));
        // The batch's loss is the mean over clips, times the loss scale.
        const auto scaled_mean = [&](const Values& at) {
            const Values losses = reference(c, at, target.doubles(), weight.doubles()).loss;
            return static_cast<double>(c.loss_scale) * std::accumulate(losses.begin(), losses.end(), 0.0) /
                   static_cast<double>(c.batch);
        };
        EXPECT_TRUE(close(dlogits, finite_differences(logits.doubles(), scaled_mean),
                          {.absolute = 1e-6 * static_cast<double>(c.loss_scale)}, "dlogits"));

        const Guarded loss_only({c.batch}), probabilities_only(shape), softmax(shape);
        cpu().softmax_loss({}, loss_only, probabilities_only, logits, target, weight, c.smoothing, {});
        EXPECT_TRUE(loss_only.same_bytes(loss));
        cpu().softmax(softmax, logits);
        EXPECT_TRUE(softmax.same_bytes(probabilities));
        EXPECT_TRUE(probabilities_only.same_bytes(probabilities));
    }
}

/// Without a target the loss is the smoothing's alone; without weight there is neither loss nor gradient.
TEST(SoftmaxLoss, ClipsWithoutATargetOrWithoutWeight) {
    const Guarded logits = filled({3, 2}, {0, std::log(3.0f), 0, std::log(3.0f), 300, -300});
    const Guarded target = filled({3, 2}, {0, 0, 0.5f, 0.5f, 0, 1}), weight = filled({3}, {2, 0.5f, 0});
    for (const float smoothing : {0.0f, 0.5f}) {
        const Guarded dlogits({3, 2}), loss({3}), probabilities({3, 2});
        cpu().softmax_loss(dlogits, loss, probabilities, logits, target, weight, smoothing, control_with({}));
        const double q = static_cast<double>(smoothing) / 2, both = std::log(4.0) + std::log(4.0 / 3);
        EXPECT_TRUE(close(loss, {2 * q * both, 0.5 * 0.5 * both, 0}, roundings(4), "loss"));
        EXPECT_TRUE(close(dlogits, {2 * (0.25 - q) / 3, 2 * (0.75 - q) / 3, -0.125 / 3, 0.125 / 3, 0, 0}, roundings(4),
                          "dlogits"));
    }
}

TEST(SoftmaxLoss, LargeLogitsStayFinite) {
    const Guarded logits = filled({2, 3}, {500, -500, 0, 80000, 80000, -80000}),
                  target = filled({2, 3}, {0, 1, 0, 1, 0, 0});
    const Guarded dlogits({2, 3}), loss({2}), probabilities({2, 3});
    cpu().softmax_loss(dlogits, loss, probabilities, logits, target, filled({2}, {1, 1}), 0, control_with({}));
    EXPECT_TRUE(close(loss, {1000, std::log(2.0)}, roundings(2), "loss"));
    EXPECT_TRUE(close(probabilities, {1, 0, 0, 0.5, 0.5, 0}, {.absolute = 1e-12}, "probabilities"));
    EXPECT_TRUE(close(dlogits, {0.5, -0.5, 0, -0.25, 0.25, 0}, {.absolute = 1e-12}, "dlogits"));
}

TEST(SoftmaxLoss, NanReachesTheLoss) {
    Guarded logits = uniform({2, 10}, 1);
    logits[13] = std::nanf("");
    const Guarded target = targets({2, 10, 0, 1}), loss({2}), probabilities({2, 10});
    cpu().softmax_loss({}, loss, probabilities, logits, target, filled({2}, {1, 1}), 0.1f, {});
    EXPECT_TRUE(std::isfinite(loss[0]));
    EXPECT_TRUE(std::isnan(loss[1]));
}

TEST(SoftmaxLoss, WrongShapesAreRefused) {
    const Guarded logits = uniform({2, 10}, 1), target = targets({2, 10, 0, 1}), weight = uniform({2}, 1);
    const Guarded loss({2}), probabilities({2, 10}), narrow({2, 9}), three({3}), control = control_with({});
    const auto run = [&](Tensor dlogits, Tensor loss_, Tensor p, Tensor target_, Tensor weight_, Tensor control_) {
        cpu().softmax_loss(dlogits, loss_, p, logits, target_, weight_, 0, control_);
    };
    EXPECT_NO_THROW(run({}, loss, probabilities, target, weight, {}));
    EXPECT_THROW(run(probabilities, loss, probabilities, target, weight, {}), std::logic_error);
    EXPECT_THROW(run(narrow, loss, probabilities, target, weight, control), std::logic_error);
    EXPECT_THROW(run({}, three, probabilities, target, weight, control), std::logic_error);
    EXPECT_THROW(run({}, loss, narrow, target, weight, control), std::logic_error);
    EXPECT_THROW(run({}, loss, probabilities, narrow, weight, control), std::logic_error);
    EXPECT_THROW(run({}, loss, probabilities, target, three, control), std::logic_error);
    EXPECT_THROW(cpu().softmax(narrow, logits), std::logic_error);
}

} // namespace
} // namespace scene::test
