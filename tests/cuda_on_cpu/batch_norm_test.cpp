#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// Odd extents, incomplete windows, one channel, more channels than a block has threads, whole packs and not.
const std::vector<Shape> activations = {{3, 7, 5, 10}, {2, 9, 6, 16}, {1, 40, 37, 1}, {2, 3, 2, 300}, {2, 4, 7, 264}};

const StepControl control{.seed = 77, .step = 5};

void expect_statistics(const Guarded& x, DType dtype) {
    const int64_t channels = x.shape()[x.shape().rank() - 1];
    const Guarded stored = stored_as(dtype, x), expected_mean({channels}), expected_variance({channels});
    cpu().batch_norm_statistics(expected_mean, expected_variance, stored);
    const OnDevice mean({channels}), variance({channels}), in(x, dtype);
    const OnDevice scratch = scratch_on_device(cuda::batch_norm_statistics_scratch_bytes(x.shape()));
    cuda::batch_norm_statistics(mean, variance, in, scratch, nullptr);
    const double rows = static_cast<double>(x.size() / channels);
    EXPECT_TRUE(close(mean, expected_mean, rounding(DType::F32, rows), "mean"));
    EXPECT_TRUE(close(variance, expected_variance, rounding(DType::F32, rows), "variance"));
}

TEST(CudaBatchNorm, Statistics) {
    for (const Shape& shape : activations)
        for_each_setting([&](DType dtype) { expect_statistics(uniform(shape, 3, -2, 5), dtype); });
}

TEST(CudaBatchNorm, StatisticsOfValuesFarFromZeroAndFromTheFirst) {
    Guarded x = uniform({4, 50, 11, 8}, 4, 999, 1001);
    for (int64_t i = 0; i < 8 * 40; ++i) x[i] = -80;
    for_each_setting([&](DType dtype) { expect_statistics(x, dtype); });
}

TEST(CudaBatchNorm, StatisticsOfManyPieces) {
    emulator::shuffle(9);
    expect_statistics(uniform({2, 500, 70, 8}, 5), DType::F16);
}

TEST(CudaBatchNorm, FinalizeAndFold) {
    constexpr int64_t channels = 300;
    const Shape shape{channels};
    const Guarded mean = uniform(shape, 1), variance = uniform(shape, 2, 0, 2), gamma = uniform(shape, 3),
                  beta = uniform(shape, 4), running_mean = uniform(shape, 5),
                  running_variance = uniform(shape, 6, 0, 2);
    const Guarded scale(shape), shift(shape), inv_std(shape), new_mean(running_mean), new_variance(running_variance);
    cpu().batch_norm_finalize(scale, shift, inv_std, new_mean, new_variance, mean, variance, gamma, beta, 37, 0.1f,
                              1e-5f);
    const OnDevice d_scale(shape), d_shift(shape), d_inv_std(shape), d_mean(running_mean), d_variance(running_variance);
    const OnDevice d_gamma(gamma), d_beta(beta);
    cuda::batch_norm_finalize(d_scale, d_shift, d_inv_std, d_mean, d_variance, OnDevice(mean), OnDevice(variance),
                              d_gamma, d_beta, 37, 0.1f, 1e-5f, nullptr);
    const Tolerance tolerance = rounding(DType::F32);
    EXPECT_TRUE(close(d_scale, scale, tolerance, "scale"));
    EXPECT_TRUE(close(d_shift, shift, tolerance, "shift"));
    EXPECT_TRUE(close(d_inv_std, inv_std, tolerance, "inv_std"));
    EXPECT_TRUE(close(d_mean, new_mean, tolerance, "running mean"));
    EXPECT_TRUE(close(d_variance, new_variance, tolerance, "running variance"));

    cpu().batch_norm_fold(scale, shift, new_mean, new_variance, gamma, beta, 1e-5f);
    cuda::batch_norm_fold(d_scale, d_shift, d_mean, d_variance, d_gamma, d_beta, 1e-5f, nullptr);
    EXPECT_TRUE(close(d_scale, scale, tolerance, "folded scale"));
    EXPECT_TRUE(close(d_shift, shift, tolerance, "folded shift"));
}

const std::vector<NormEpilogue> epilogues = {
    {.relu = false, .dropout = {}, .max_pool = false},
    {.relu = true, .dropout = {}, .max_pool = false},
    {.relu = true, .dropout = {.p = 0.3f, .stream = 4}, .max_pool = false},
    {.relu = true, .dropout = {}, .max_pool = true},
    {.relu = false, .dropout = {}, .max_pool = true},
};

Shape output_shape(const Shape& x, const NormEpilogue& epilogue) {
    return epilogue.max_pool ? Shape{x[0], x[1] / 2, x[2] / 2, x[3]} : x;
}

std::string describe(const Shape& shape, const NormEpilogue& epilogue) {
    return shape.text() + (epilogue.relu ? " relu" : "") + (epilogue.dropout.p > 0 ? " dropout" : "") +
           (epilogue.max_pool ? " pool" : "");
}

void expect_forward(const Guarded& x, const NormEpilogue& epilogue, DType dtype) {
    const Shape per_channel{x.shape()[3]}, out = output_shape(x.shape(), epilogue);
    const Guarded scale = uniform(per_channel, 11, -2, 2), shift = uniform(per_channel, 12);
    const Guarded expected(out), state = control_with(control);
    cpu().batch_norm_forward(expected, stored_as(dtype, x), scale, shift, epilogue, state);
    const OnDevice y(out, dtype), in(x, dtype), d_scale(scale), d_shift(shift), d_state(state);
    cuda::batch_norm_forward(y, in, d_scale, d_shift, epilogue, d_state, nullptr);
    EXPECT_TRUE(close(y, expected, rounding(dtype), describe(x.shape(), epilogue)));
    if (epilogue.max_pool) return;
    cuda::batch_norm_forward(in, in, d_scale, d_shift, epilogue, d_state, nullptr);
    EXPECT_TRUE(in.host().same_bytes(y.host())) << "in place differs";
}

TEST(CudaBatchNorm, ForwardWithEveryEpilogue) {
    for (const Shape& shape : activations)
        for (const NormEpilogue& epilogue : epilogues)
            for_each_setting([&](DType dtype) { expect_forward(uniform(shape, 13), epilogue, dtype); });
}

void expect_backward(const Guarded& x, const NormEpilogue& epilogue, DType dtype) {
    const int64_t channels = x.shape()[3];
    const Shape per_channel{channels}, out = output_shape(x.shape(), epilogue);
    const Guarded stored = stored_as(dtype, x), dy = stored_as(dtype, uniform(out, 14)), state = control_with(control);
    const Guarded mean = uniform(per_channel, 15), inv_std = uniform(per_channel, 16, 0.5f, 2);
    const Guarded scale = uniform(per_channel, 17, -2, 2), shift = uniform(per_channel, 18);
    const Guarded dx(x.shape()), dgamma(per_channel), dbeta(per_channel);
    const Guarded scratch({static_cast<int64_t>(cpu().batch_norm_scratch_bytes(x.shape()))}, DType::U8);
    cpu().batch_norm_backward(dx, dgamma, dbeta, dy, stored, mean, inv_std, scale, shift, scratch, epilogue, state);

    const OnDevice d_dx(x.shape(), dtype), d_dgamma(per_channel), d_dbeta(per_channel), d_dy(dy, dtype), d_x(x, dtype);
    const OnDevice d_mean(mean), d_inv_std(inv_std), d_scale(scale), d_shift(shift), d_state(state);
    const OnDevice d_scratch = scratch_on_device(cuda::batch_norm_backward_scratch_bytes(x.shape()));
    const auto run = [&](Tensor into) {
        cuda::batch_norm_backward(into, d_dgamma, d_dbeta, d_dy, d_x, d_mean, d_inv_std, d_scale, d_shift, d_scratch,
                                  epilogue, d_state, nullptr);
    };
    run(d_dx);
    const double rows = static_cast<double>(x.size() / channels);
    const std::string label = describe(x.shape(), epilogue);
    EXPECT_TRUE(close(d_dgamma, dgamma, rounding(DType::F32, rows), label + " dgamma"));
    EXPECT_TRUE(close(d_dbeta, dbeta, rounding(DType::F32, rows), label + " dbeta"));
    EXPECT_TRUE(close(d_dx, dx, rounding(dtype, rows), label + " dx"));
    run({});
    run(d_x); // in place
    EXPECT_TRUE(d_x.host().same_bytes(d_dx.host())) << label << ": in place differs";
}

TEST(CudaBatchNorm, BackwardWithEveryEpilogue) {
    for (const Shape& shape : activations)
        for (const NormEpilogue& epilogue : epilogues)
            for_each_setting([&](DType dtype) { expect_backward(uniform(shape, 19), epilogue, dtype); });
}

/// Wide rows make small blocks, so that the sums come from more pieces than are added side by side.
TEST(CudaBatchNorm, BackwardOfManyPieces) {
    emulator::shuffle(7);
    for (const NormEpilogue& epilogue : {epilogues[1], epilogues[3]})
        expect_backward(uniform({5, 20, 9, 264}, 22), epilogue, DType::F32);
}

TEST(CudaBatchNorm, TheFirstOfEqualMaximaTakesTheGradient) {
    for_each_setting([&](DType dtype) {
        for (const NormEpilogue& epilogue : {epilogues[3], epilogues[4]}) {
            expect_forward(integers({2, 6, 7, 16}, 20, -2, 2), epilogue, dtype);
            expect_backward(integers({2, 6, 7, 16}, 21, -2, 2), epilogue, dtype);
        }
    });
}

TEST(CudaBatchNorm, WrongShapesAreRefused) {
    const OnDevice x({2, 3, 4, 8}), y({2, 3, 4, 7}), scale(Shape{8});
    EXPECT_THROW(cuda::batch_norm_forward(y, x, scale, scale, {}, {}, nullptr), std::logic_error);
    EXPECT_THROW(cuda::batch_norm_statistics(scale, scale, x, {}, nullptr), std::logic_error);
}

} // namespace
} // namespace scene::test
