#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// Rows that sum to 1, with some certain ones.
Guarded targets(int64_t rows, int64_t classes) {
    Guarded target = uniform({rows, classes}, 31, 0, 1);
    for (int64_t n = 0; n < rows; ++n) {
        float sum = 0;
        for (int64_t k = 0; k < classes; ++k) sum += target[n * classes + k];
        for (int64_t k = 0; k < classes; ++k)
            target[n * classes + k] = n % 3 == 0 ? static_cast<float>(k == n % classes) : target[n * classes + k] / sum;
    }
    return target;
}

void expect_softmax_loss(int64_t rows, int64_t classes, float range, DType dtype) {
    const Shape shape{rows, classes}, per_clip{rows};
    const Guarded logits = stored_as(dtype, uniform(shape, 32, -range, range)), target = targets(rows, classes),
                  weight = uniform(per_clip, 33, 0, 3);
    const Guarded state = control_with({.loss_scale = 128});
    const Guarded dlogits(shape), loss(per_clip), probabilities(shape), plain(shape);
    cpu().softmax_loss(dlogits, loss, probabilities, logits, target, weight, 0.1f, state);
    cpu().softmax(plain, logits);

    const OnDevice d_dlogits(shape, dtype), d_loss(per_clip), d_probabilities(shape), d_plain(shape);
    const OnDevice d_logits(logits, dtype), d_target(target), d_weight(weight), d_state(state);
    cuda::softmax_loss(d_dlogits, d_loss, d_probabilities, d_logits, d_target, d_weight, 0.1f, d_state, nullptr);
    cuda::softmax(d_plain, d_logits, nullptr);
    // The probabilities' error is that of their logarithm, |logits| times the unit roundoff.
    const Tolerance tolerance{.absolute = 1e-12, .relative = 2e-7 * (4 + range), .of_largest = 1e-6};
    EXPECT_TRUE(close(d_probabilities, probabilities, tolerance, "probabilities"));
    EXPECT_TRUE(close(d_plain, plain, tolerance, "softmax"));
    EXPECT_TRUE(close(d_loss, loss, tolerance, "loss"));
    EXPECT_TRUE(close(d_dlogits, dlogits, rounding(dtype, 4), "dlogits"));

    const OnDevice other_loss(per_clip), other_probabilities(shape);
    cuda::softmax_loss({}, other_loss, other_probabilities, d_logits, d_target, d_weight, 0.1f, {}, nullptr);
    EXPECT_TRUE(other_loss.host().same_bytes(d_loss.host())) << "without a gradient";
}

TEST(CudaSoftmaxLoss, OddNumbersOfRowsAndClasses) {
    for_each_setting([&](DType dtype) {
        for (const auto& [rows, classes] : {std::pair{7, 10}, {64, 10}, {1, 1}, {9, 33}, {17, 100}})
            expect_softmax_loss(rows, classes, 4, dtype);
    });
}

/// Without a target the loss is the smoothing's alone; without weight there is neither loss nor gradient.
TEST(CudaSoftmaxLoss, ClipsWithoutATargetOrWithoutWeight) {
    for_each_setting([](DType dtype) {
        const Guarded logits = stored_as(dtype, uniform({9, 10}, 1, -4, 4)), state = control_with({.loss_scale = 8});
        const Guarded target = targets(9, 10), weight = uniform({9}, 2, 0.5f, 2);
        for (int64_t k = 0; k < 10; ++k) target[k] = target[70 + k] = 0;
        weight[1] = weight[7] = 0;
        for (const float smoothing : {0.0f, 0.1f}) {
            const Guarded dlogits({9, 10}), loss({9}), probabilities({9, 10});
            cpu().softmax_loss(dlogits, loss, probabilities, logits, target, weight, smoothing, state);
            const OnDevice d_dlogits({9, 10}, dtype), d_loss(Shape{9}), d_probabilities({9, 10});
            const OnDevice d_logits(logits, dtype), d_target(target), d_weight(weight), d_state(state);
            cuda::softmax_loss(d_dlogits, d_loss, d_probabilities, d_logits, d_target, d_weight, smoothing, d_state,
                               nullptr);
            EXPECT_TRUE(close(d_loss, loss, {.of_largest = 2e-6}, "loss"));
            EXPECT_TRUE(close(d_dlogits, dlogits, rounding(dtype, 4), "dlogits"));
            EXPECT_EQ(d_loss.host()[1], 0);
            EXPECT_EQ(d_loss.host()[0] == 0, smoothing == 0);
            for (int64_t k = 0; k < 10; ++k) EXPECT_EQ(d_dlogits.host()[10 + k], 0);
        }
    });
}

TEST(CudaSoftmaxLoss, LargeLogits) {
    for_each_setting([&](DType dtype) { expect_softmax_loss(13, 10, 60, dtype); });
}

} // namespace
} // namespace scene::test
