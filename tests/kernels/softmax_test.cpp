#include "tests/support/op_test.h"

namespace scene::test {
namespace {

Softmax<HostArray> softmax_of(HostArray logits) {
    const Shape shape = logits.shape;
    return {.probabilities = empty(shape), .logits = std::move(logits)};
}

TEST(Softmax, EqualsTheReference) {
    for (const Shape& shape : {Shape{1, 10}, {7, 10}, {64, 10}, {2, 1}, {1, 1}, {9, 33}, {5, 37}, {17, 100}})
        expect_like_reference(softmax_of(uniform_activation(shape, 1, -5, 5)), shape.text());
}

TEST(Softmax, OfLargeLogits) {
    expect_like_reference(softmax_of(uniform_activation({13, 10}, 2, -60, 60)));
    expect_like_reference(softmax_of(with_values({2, 3}, {500, -500, 0, 80000, 80000, -80000})));
}

TEST(Softmax, OfEqualLogitsIsUniform) {
    for_each_setting(true, [](TestDevice& device, DType type) {
        const Softmax<HostArray> done = run_on(device, type, softmax_of(integer_activation({3, 4}, 1, 7, 7)));
        EXPECT_TRUE(near_all(done.probabilities, std::vector<double>(12, 0.25), 1e-7));
    });
}

TEST(Softmax, NanStaysInItsRow) {
    for_each_setting(true, [](TestDevice& device, DType type) {
        Softmax<HostArray> op = rounded(softmax_of(uniform_activation({2, 10}, 1)), type);
        op.logits[13] = std::nan("");
        const Softmax<HostArray> done = run_on(device, type, op);
        for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(std::isnan(done.probabilities[i]), i >= 10) << i;
    });
}

TEST(Softmax, SameBits) { expect_same_bits(softmax_of(uniform_activation({33, 10}, 1, -5, 5))); }

TEST(Softmax, WrongShapesAreRefused) {
    Softmax<HostArray> op = softmax_of(uniform_activation({2, 10}, 1));
    op.probabilities = empty({2, 9});
    expect_refused(op);
    expect_refused(softmax_of(uniform_activation({20}, 1)));
}

} // namespace
} // namespace scene::test
