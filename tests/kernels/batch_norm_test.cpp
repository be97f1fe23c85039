#include "tests/kernels/batch_norm_reference.h"

namespace scene::test {
namespace {

const std::vector<Shape> odd_shapes{{1, 1, 1, 1},  {1, 2, 2, 1},  {3, 5, 3, 9},   {1, 7, 4, 18},
                                    {2, 4, 7, 40}, {3, 3, 5, 64}, {2, 33, 7, 144}};

TEST(BatchNormStatistics, EqualTheReference) {
    for (const Shape& shape : std::vector<Shape>{{5, 1}, {17, 9}, {129, 18}, {1000, 40}, {4001, 144}, {700, 576}}) {
        const Guarded x = uniform(shape, 1, -2, 3);
        const Guarded mean({shape[1]}), variance({shape[1]});
        cpu().batch_norm_statistics(mean, variance, x);
        const NormMoments expected = reference_moments(x.doubles(), shape[1]);
        EXPECT_TRUE(close(mean, expected.mean, roundings(16), "mean " + shape.text()));
        EXPECT_TRUE(close(variance, expected.variance, roundings(16), "variance " + shape.text()));
    }
}

TEST(BatchNormStatistics, AreExactForWholeNumbers) {
    const Guarded x = integers({512, 7}, 2, -8, 8);
    const Guarded mean({7}), variance({7});
    cpu().batch_norm_statistics(mean, variance, x);
    const NormMoments expected = reference_moments(x.doubles(), 7);
    EXPECT_TRUE(close(mean, expected.mean, roundings(1), "mean"));
}

TEST(BatchNormStatistics, SurviveAMeanFarFromZero) {
    // E[x^2] - E[x]^2 in single precision would lose every digit here.
    Guarded x = uniform({3000, 20}, 3);
    for (float& value : x.floats()) value = 10000 + std::round(value * 64) / 64;
    const Guarded mean({20}), variance({20});
    cpu().batch_norm_statistics(mean, variance, x);
    const NormMoments expected = reference_moments(x.doubles(), 20);
    EXPECT_TRUE(close(mean, expected.mean, roundings(2), "mean"));
    EXPECT_TRUE(close(variance, expected.variance, {.relative = 1e-4}, "variance"));
}

TEST(BatchNormStatistics, OfEqualValuesHaveNoVariance) {
    const Guarded x = filled({6, 2}, {0.1f, 3, 0.1f, 3, 0.1f, 3, 0.1f, 3, 0.1f, 3, 0.1f, 3});
    const Guarded mean({2}), variance({2});
    cpu().batch_norm_statistics(mean, variance, x);
    EXPECT_EQ(mean[0], 0.1f);
    EXPECT_EQ(mean[1], 3.0f);
    EXPECT_EQ(variance[0], 0.0f);
    EXPECT_EQ(variance[1], 0.0f);
}

TEST(BatchNormStatistics, PassANanOn) {
    Guarded x = uniform({300, 5}, 4);
    x[200 * 5 + 3] = std::nanf("");
    const Guarded mean({5}), variance({5});
    cpu().batch_norm_statistics(mean, variance, x);
    for (int c = 0; c < 5; ++c) {
        EXPECT_EQ(std::isnan(mean[c]), c == 3);
        EXPECT_EQ(std::isnan(variance[c]), c == 3);
    }
}

TEST(BatchNormFinalize, EqualsTheReference) {
    const int64_t channels = 9, rows = 21;
    const Guarded mean = uniform({channels}, 1), variance = uniform({channels}, 2, 0, 2);
    const Guarded gamma = uniform({channels}, 3), beta = uniform({channels}, 4);
    const Guarded running_mean = uniform({channels}, 5), running_variance = uniform({channels}, 6, 0, 2);
    const std::vector<double> old_mean = running_mean.doubles(), old_variance = running_variance.doubles();
    const Guarded scale({channels}), shift({channels}), inv_std({channels});
    cpu().batch_norm_finalize(scale, shift, inv_std, running_mean, running_variance, mean, variance, gamma, beta, rows,
                              0.1f, 1e-5f);
    std::vector<double> want_inv_std, want_scale, want_shift, want_mean, want_variance;
    for (int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<size_t>(c);
        want_inv_std.push_back(1 / std::sqrt(variance.doubles()[i] + 1e-5));
        want_scale.push_back(gamma.doubles()[i] * want_inv_std[i]);
        want_shift.push_back(beta.doubles()[i] - mean.doubles()[i] * want_scale[i]);
        want_mean.push_back(0.9 * old_mean[i] + 0.1 * mean.doubles()[i]);
        want_variance.push_back(0.9 * old_variance[i] + 0.1 * variance.doubles()[i] * 21.0 / 20.0);
    }
    EXPECT_TRUE(close(inv_std, want_inv_std, roundings(4), "inv_std"));
    EXPECT_TRUE(close(scale, want_scale, roundings(6), "scale"));
    EXPECT_TRUE(close(shift, want_shift, roundings(8), "shift"));
    EXPECT_TRUE(close(running_mean, want_mean, roundings(6), "running_mean"));
    EXPECT_TRUE(close(running_variance, want_variance, roundings(6), "running_variance"));
    EXPECT_THROW(cpu().batch_norm_finalize(scale, shift, inv_std, running_mean, running_variance, mean, variance, gamma,
                                           beta, 1, 0.1f, 1e-5f),
                 std::logic_error);
}

TEST(BatchNormFold, EqualsTheReference) {
    const int64_t channels = 18;
    const Guarded mean = uniform({channels}, 1), variance = uniform({channels}, 2, 0, 2);
    const Guarded gamma = uniform({channels}, 3), beta = uniform({channels}, 4);
    const Guarded scale({channels}), shift({channels});
    cpu().batch_norm_fold(scale, shift, mean, variance, gamma, beta, 1e-3f);
    std::vector<double> want_scale, want_shift;
    for (size_t i = 0; i < 18; ++i) {
        want_scale.push_back(gamma.doubles()[i] / std::sqrt(variance.doubles()[i] + 1e-3));
        want_shift.push_back(beta.doubles()[i] - mean.doubles()[i] * want_scale[i]);
    }
    EXPECT_TRUE(close(scale, want_scale, roundings(4), "scale"));
    EXPECT_TRUE(close(shift, want_shift, roundings(6), "shift"));
}

TEST(BatchNormForward, EqualsTheReference) {
    for (const NormCase& norm : norm_cases(odd_shapes)) {
        const Guarded x = uniform(norm.x, 1, -2, 2);
        const Guarded scale = uniform({norm.channels()}, 2), shift = uniform({norm.channels()}, 3);
        const Guarded control = control_with(norm.control);
        const Guarded y(norm.y());
        cpu().batch_norm_forward(y, x, scale, shift, norm.epilogue, control);
        EXPECT_TRUE(close(y, reference_epilogue(norm, x.doubles(), scale.doubles(), shift.doubles()),
                          {.absolute = 4 * 0x1p-24 * 3}, norm.text()));
    }
}

TEST(BatchNormForward, DropsExactlyTheElementsOfTheMask) {
    const NormCase norm{{3, 5, 3, 9}, {.relu = false, .dropout = {.p = 0.4f, .stream = 2}, .max_pool = false}};
    const Guarded x = uniform(norm.x, 1, 1, 2), scale = uniform({9}, 2, 1, 2), shift = uniform({9}, 3, 1, 2);
    const Guarded y(norm.y());
    cpu().batch_norm_forward(y, x, scale, shift, norm.epilogue, control_with(norm.control));
    for (int64_t i = 0; i < y.size(); ++i)
        EXPECT_EQ(y[i] == 0, dropout_factor(norm.epilogue.dropout, norm.control, i) == 0) << i;
}

TEST(BatchNormForward, InPlaceIsTheSame) {
    for (const float p : {0.0f, 0.3f}) {
        const NormEpilogue epilogue{.relu = true, .dropout = {.p = p, .stream = 2}, .max_pool = false};
        const Guarded x = uniform({50, 40}, 1), scale = uniform({40}, 2), shift = uniform({40}, 3), y({50, 40});
        const Guarded control = control_with({.seed = 3});
        cpu().batch_norm_forward(y, x, scale, shift, epilogue, control);
        cpu().batch_norm_forward(x, x, scale, shift, epilogue, control);
        EXPECT_TRUE(x.same_bytes(y));
    }
}

TEST(BatchNormForward, PassesANanOn) {
    for (const bool max_pool : {false, true}) {
        const Guarded x = uniform({1, 2, 2, 3}, 1), scale = filled({3}, {1, std::nanf(""), 1}), shift = uniform({3}, 3);
        const Guarded y(max_pool ? Shape{1, 1, 1, 3} : x.shape());
        cpu().batch_norm_forward(y, x, scale, shift, {.relu = true, .dropout = {}, .max_pool = max_pool}, {});
        for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i % 3 == 1);
    }
}

TEST(BatchNorm, SameBitsOnAnyNumberOfThreads) {
    for (const NormCase& norm : norm_cases({{3, 63, 9, 72}})) {
        const Guarded x = uniform(norm.x, 1), scale = uniform({72}, 2), shift = uniform({72}, 3);
        const Guarded control = control_with(norm.control);
        expect_same_bits([&](Backend& backend) {
            std::vector<Guarded> out{Guarded(norm.y()), Guarded({72}), Guarded({72})};
            backend.batch_norm_forward(out[0], x, scale, shift, norm.epilogue, control);
            backend.batch_norm_statistics(out[1], out[2], x);
            return out;
        });
    }
}

TEST(BatchNorm, WrongShapesAndTypesAreRefused) {
    const Guarded x = uniform({2, 4, 4, 6}, 1), six = uniform({6}, 2), five = uniform({5}, 2);
    const Guarded y({2, 4, 4, 6}), pooled({2, 2, 2, 6}), half({2, 4, 4, 6}, DType::F16), ints({6}, DType::I32);
    const NormEpilogue plain{}, pool{.relu = true, .dropout = {}, .max_pool = true};
    const NormEpilogue both{.relu = true, .dropout = {.p = 0.1f, .stream = 1}, .max_pool = true};
    const Guarded control = control_with({});
    EXPECT_THROW(cpu().batch_norm_forward(y, x, five, six, plain, {}), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_forward(y, x, six, ints, plain, {}), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_forward(half, x, six, six, plain, {}), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_forward(pooled, x, six, six, plain, {}), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_forward(y, x, six, six, pool, {}), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_forward(pooled, x, six, six, both, control), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_forward({}, x, six, six, plain, {}), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_statistics(six, five, x), std::logic_error);
    EXPECT_THROW(cpu().batch_norm_fold(six, six, six, six, six, five, 1e-5f), std::logic_error);
    try {
        cpu().batch_norm_statistics(six, five, x);
    } catch (const std::logic_error& error) {
        EXPECT_NE(std::string(error.what()).find("variance is F32 [5], expected F32 [6]"), std::string::npos)
            << error.what();
    }
}

} // namespace
} // namespace scene::test
