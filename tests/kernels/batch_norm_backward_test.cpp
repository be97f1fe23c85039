#include "tests/kernels/batch_norm_cases.h"
#include "tests/support/gradients.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

/// As in a training step: scale and shift come from the statistics of x.
BatchNormBackward<HostArray> backward_of(const NormCase& c) {
    const HostArray x = uniform_activation(c.x, 1, -2, 2);
    const BatchNormFinalize<HostArray> norm = run_reference(finalize_of(x));
    return {.dx = empty_activation(c.x),
            .dgamma = empty(norm.scale.shape),
            .dbeta = empty(norm.scale.shape),
            .dy = uniform_activation(c.y(), 7),
            .x = x,
            .mean = norm.mean,
            .inv_std = norm.inv_std,
            .scale = norm.scale,
            .shift = norm.shift,
            .control = norm_control(),
            .epilogue = c.epilogue};
}

BatchNormApplyGradient<HostArray> apply_gradient_of(const Shape& shape) {
    const Shape per_channel{shape[shape.rank() - 1]};
    return {.dx = empty_activation(shape),
            .dz = uniform_activation(shape, 1),
            .x = uniform_activation(shape, 2),
            .mean = uniform_f32(per_channel, 3),
            .inv_std = uniform_f32(per_channel, 4, 0.5, 2),
            .scale = uniform_f32(per_channel, 5),
            .dgamma = uniform_f32(per_channel, 6, -9, 9),
            .dbeta = uniform_f32(per_channel, 7, -9, 9)};
}

BatchNormForward<HostArray> forward_of(const NormCase& c, const HostArray& x,
                                       const BatchNormFinalize<HostArray>& norm) {
    return {.y = empty_activation(c.y()),
            .x = x,
            .scale = norm.scale,
            .shift = norm.shift,
            .control = norm_control(),
            .epilogue = c.epilogue};
}

/// With one channel the largest dgamma is the only one, which in BF16 happens to be a sum of 144 terms that cancel.
TEST(BatchNormBackward, EqualsTheReference) {
    for (const NormCase& c : norm_cases(norm_shapes))
        expect_like_reference(backward_of(c), c.text(), [&](TestDevice&, DType type) {
            Allowance allowance = norm_allowance;
            if (type == DType::BF16 && c.x[3] == 1) allowance.sum_roundings = 24;
            return std::optional(allowance);
        });
}

/// More partial sums than are added in parallel.
TEST(BatchNormBackward, OfManyRows) {
    for (const NormCase& c : norm_cases({{1, 19, 19, 259}}))
        if (c.epilogue.relu && c.epilogue.dropout.p == 0)
            expect_like_reference(backward_of(c), c.text(), norm_allowance);
}

/// Differences of the whole layer, statistics included.
TEST(BatchNormBackward, ReferenceGradientsAreFiniteDifferences) {
    for (const NormCase& c : norm_cases({{2, 1, 3, 1}, {2, 3, 5, 3}, {1, 4, 3, 5}})) {
        const HostArray x = uniform_activation(c.x, 1, -2, 2), gamma = uniform_f32({c.x[3]}, 3, 0.5, 1.5),
                        beta = uniform_f32({c.x[3]}, 4);
        const BatchNormBackward<HostArray> backward = run_reference(backward_of(c));
        const auto with = [](HostArray array, const std::vector<double>& values) {
            array.values = values;
            return array;
        };
        const auto loss = [&](const HostArray& at_x, const HostArray& at_gamma, const HostArray& at_beta) {
            const BatchNormFinalize<HostArray> norm = run_reference(finalize_of(at_x, at_gamma, at_beta));
            return inner_product(run_reference(forward_of(c, at_x, norm)).y.values, backward.dy.values);
        };
        const auto of_x = [&](const auto& at) { return loss(with(x, at), gamma, beta); };
        const auto of_gamma = [&](const auto& at) { return loss(x, with(gamma, at), beta); };
        const auto of_beta = [&](const auto& at) { return loss(x, gamma, with(beta, at)); };
        EXPECT_TRUE(near_all(backward.dx, finite_differences(x.values, of_x))) << c.text();
        EXPECT_TRUE(near_all(backward.dgamma, finite_differences(gamma.values, of_gamma))) << c.text();
        EXPECT_TRUE(near_all(backward.dbeta, finite_differences(beta.values, of_beta))) << c.text();
    }
}

/// Integers with scale 1 and shift 0: nearly every pooling window has a tie, and sums are exact. So is dx if the number
/// of rows is a power of two, except that BF16 rounds it once, and the naive version too.
TEST(BatchNormBackward, FirstOfEqualMaximaTakesTheGradient) {
    for (const NormCase& c : norm_cases({{2, 8, 8, 20}, {2, 9, 7, 20}})) {
        if (!c.epilogue.max_pool) continue;
        BatchNormForward<HostArray> forward = forward_of(c);
        BatchNormBackward<HostArray> backward = backward_of(c);
        forward.x = backward.x = integer_activation(c.x, 5, -2, 2);
        backward.dy = integer_activation(c.y(), 6, -4, 4);
        for (int64_t i = 0; i < 20; ++i) {
            forward.scale[i] = backward.scale[i] = backward.inv_std[i] = 1;
            forward.shift[i] = backward.shift[i] = backward.mean[i] = 0;
        }
        const Allowance exact{.factor = 1, .roundings = 0};
        expect_like_reference(forward, c.text(), exact);
        if (c.x[1] % 2 == 0)
            expect_like_reference(backward, c.text(), exact);
        else
            expect_like_reference(backward, c.text());
    }
}

/// Inputs whose outputs y are exact in half precision, with y. Of each eight channels the first four may be summed from
/// y. Of the others none may if vectors have four: in one of them beta is too large, or gamma too small or 0.
BatchNormBackward<HostArray> backward_from_output(const NormCase& c) {
    BatchNormBackward<HostArray> backward = backward_of(c);
    backward.x = integer_activation(c.x, 5, -8, 8);
    for (int64_t i = 0; i < c.x[3]; ++i) {
        backward.inv_std[i] = 1;
        backward.mean[i] = 0.25 * backward.mean[i];
        backward.scale[i] = i % 2 == 0 ? 0.5 : -1;
        backward.shift[i] = 0.25;
        if (i % 8 != 5) continue;
        if (i / 8 % 3 == 0) backward.shift[i] = 2;
        if (i / 8 % 3 == 1) backward.scale[i] = 0x1p-11, backward.shift[i] = 0;
        if (i / 8 % 3 == 2) backward.scale[i] = backward.shift[i] = 0;
    }
    BatchNormForward<HostArray> forward = forward_of(c);
    forward.x = backward.x, forward.scale = backward.scale, forward.shift = backward.shift;
    forward.control = backward.control;
    backward.y = run_reference(forward).y;
    return backward;
}

const std::vector<NormCase> pooled_cases = {
    {{2, 8, 8, 24}, {.relu = true, .dropout = {}, .max_pool = true}},
    {{3, 5, 7, 40}, {.relu = true, .dropout = {}, .max_pool = true}},
    {{1, 37, 20, 8}, {.relu = false, .dropout = {}, .max_pool = true}},
    {{2, 3, 3, 5}, {.relu = true, .dropout = {}, .max_pool = true}},
    {{1, 50, 50, 24}, {.relu = true, .dropout = {}, .max_pool = true}},
};

TEST(BatchNormBackward, FromThePooledOutputEqualsTheReference) {
    for (const NormCase& c : pooled_cases) {
        const BatchNormBackward<HostArray> backward = backward_from_output(c);
        expect_like_reference(backward, c.text(), norm_allowance);
        using Backward = BatchNormBackward<HostArray>;
        expect_same_in_place(backward, &Backward::dx, &Backward::x, c.text());
    }
}

/// Wrong values of y change the sums of exactly those channels that are summed from it.
TEST(BatchNormBackward, ChannelsWhereTheOutputIsNotPreciseAreSummedFromTheInput) {
    const NormCase& c = pooled_cases.front();
    const BatchNormBackward<HostArray> right = backward_from_output(c);
    BatchNormBackward<HostArray> wrong = right;
    for (int64_t i = 0; i < wrong.y.size(); ++i) wrong.y[i] = -1000;
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const auto expected = run_on(device, type, rounded(right, type));
        const auto actual = run_on(device, type, rounded(wrong, type));
        const bool reads_output = device.device().planner().norm_backward_reads_output();
        for (int64_t i = 0; i < c.x[3]; ++i) {
            EXPECT_EQ(actual.dgamma[i] != expected.dgamma[i], reads_output && i % 8 < 4) << i;
            EXPECT_EQ(actual.dbeta[i] != expected.dbeta[i], reads_output && i % 8 < 4) << i;
        }
    });
}

/// y as a training step has it, rounded to the activation type. Then xhat = (y - beta)/gamma has an error of at most
/// y/gamma times a rounding.
TEST(BatchNormBackward, FromARoundedOutputIsAsPreciseAsTheOutput) {
    for (const NormCase& c : pooled_cases) {
        BatchNormBackward<HostArray> backward = backward_of(c);
        for_each_setting(true, [&](TestDevice& device, DType type) {
            BatchNormBackward<HostArray> given = rounded(backward, type);
            BatchNormForward<HostArray> forward = forward_of(c);
            forward.x = given.x, forward.scale = given.scale, forward.shift = given.shift;
            given.y = rounded(run_reference(forward), type).y;
            const auto expected = run_reference(given), actual = run_on(device, type, given);
            const double rounding = type == DType::F32 ? 0x1p-24 : 0x1p-11;
            for (int64_t channel = 0; channel < c.x[3]; ++channel) {
                const double gamma = given.scale[channel] / given.inv_std[channel];
                double largest = 0, sum = 0;
                for (int64_t i = channel; i < given.y.size(); i += c.x[3]) {
                    sum += std::abs(given.dy[i]);
                    largest += std::abs(given.dy[i] * given.y[i] / gamma) * rounding;
                }
                const double of_sums = norm_allowance.sum_roundings * 0x1p-24 * sum;
                EXPECT_NEAR(actual.dbeta[channel], expected.dbeta[channel], of_sums) << c.text();
                EXPECT_NEAR(actual.dgamma[channel], expected.dgamma[channel], largest + 3 * of_sums) << c.text();
            }
        });
    }
}

TEST(BatchNormBackward, InPlaceAndWithoutDx) {
    for (const NormCase& c : norm_cases({{2, 5, 7, 40}})) {
        using Backward = BatchNormBackward<HostArray>;
        const Backward backward = backward_of(c);
        expect_same_in_place(backward, &Backward::dx, &Backward::x, c.text());
        Backward without = backward;
        without.dx = {};
        for_each_setting(true, [&](TestDevice& device, DType type) {
            const Backward expected = run_on(device, type, rounded(backward, type)),
                           actual = run_on(device, type, rounded(without, type));
            EXPECT_EQ(actual.dgamma.values, expected.dgamma.values) << c.text();
            EXPECT_EQ(actual.dbeta.values, expected.dbeta.values) << c.text();
        });
    }
}

TEST(BatchNormBackward, SameBits) {
    for (const NormCase& c : norm_cases({{3, 31, 9, 72}}))
        if (c.epilogue.relu) expect_same_bits(backward_of(c));
    expect_same_bits(backward_from_output({{3, 31, 9, 72}, {.relu = true, .dropout = {}, .max_pool = true}}));
}

TEST(BatchNormBackward, WrongShapesAreRefused) {
    const NormCase pooled{{2, 4, 4, 6}, {.relu = true, .dropout = {}, .max_pool = true}};
    const auto refused = [](auto record, auto change) {
        change(record);
        expect_refused(record);
    };
    refused(backward_of(pooled), [](auto& op) { op.dy = uniform_activation({2, 4, 4, 6}, 1); });
    refused(backward_of(pooled), [](auto& op) { op.epilogue.max_pool = false; });
    refused(backward_of(pooled), [](auto& op) { op.epilogue.dropout = {.p = 0.1f, .stream = 1}; });
    refused(backward_of(pooled), [](auto& op) { op.dx = empty_activation({2, 2, 2, 6}); });
    refused(backward_of(pooled), [](auto& op) { op.y = uniform_activation({2, 4, 4, 6}, 1); });
    refused(backward_of({{2, 4, 4, 6}, {}}), [](auto& op) { op.y = op.dy; });
}

TEST(BatchNormBackward, WithoutScratchIsRefused) {
    for (const NormCase& c : norm_cases({{2, 4, 4, 6}})) expect_scratch_refused(backward_of(c));
}

TEST(BatchNormApplyGradient, EqualsTheReferenceInPlaceToo) {
    using Apply = BatchNormApplyGradient<HostArray>;
    for (const Shape& shape : std::vector<Shape>{{3, 5, 4, 24}, {2, 3, 3, 7}, {7, 301}, {3000, 8}}) {
        expect_like_reference(apply_gradient_of(shape), shape.text());
        expect_same_in_place(apply_gradient_of(shape), &Apply::dx, &Apply::x, shape.text());
    }
}

/// Without an epilogue dz is dy.
TEST(BatchNormApplyGradient, IsTheLastPartOfTheBackwardPass) {
    const NormCase c{{2, 5, 7, 12}, {.relu = false, .dropout = {}, .max_pool = false}};
    const BatchNormBackward<HostArray> backward = run_reference(backward_of(c));
    BatchNormApplyGradient<HostArray> apply = apply_gradient_of(c.x);
    apply.dz = backward.dy;
    apply.x = backward.x;
    apply.mean = backward.mean;
    apply.inv_std = backward.inv_std;
    apply.scale = backward.scale;
    apply.dgamma = backward.dgamma;
    apply.dbeta = backward.dbeta;
    EXPECT_TRUE(near_all(run_reference(apply).dx, backward.dx.values, 1e-12));
}

TEST(BatchNormApplyGradient, SameBits) { expect_same_bits(apply_gradient_of({1500, 72})); }

TEST(BatchNormApplyGradient, WrongShapesAreRefused) {
    BatchNormApplyGradient<HostArray> apply = apply_gradient_of({8, 6});
    apply.dgamma = uniform_f32({5}, 1);
    expect_refused(apply);
    apply = apply_gradient_of({8, 6});
    apply.dz = uniform_activation({8, 5}, 1);
    expect_refused(apply);
}

} // namespace
} // namespace scene::test
