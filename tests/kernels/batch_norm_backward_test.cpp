#include "tests/kernels/batch_norm_reference.h"
#include "tests/support/gradients.h"

namespace scene::test {
namespace {

/// Operands as a training step has them: moments of the batch, scale and shift from gamma and beta.
struct Operands {
    Guarded x, gamma, beta, dy, mean, inv_std, scale, shift, control, scratch;

    explicit Operands(const NormCase& norm, uint64_t seed = 1)
        : x(uniform(norm.x, seed, -2, 2)), gamma(uniform({norm.channels()}, seed + 1, 0.5f, 1.5f)),
          beta(uniform({norm.channels()}, seed + 2)), dy(uniform(norm.y(), seed + 3)), mean({norm.channels()}),
          inv_std({norm.channels()}), scale({norm.channels()}), shift({norm.channels()}),
          control(control_with(norm.control)),
          scratch({static_cast<int64_t>(cpu().batch_norm_scratch_bytes(norm.x))}, DType::U8) {
        const NormMoments moments = reference_moments(x.doubles(), norm.channels());
        for (int64_t c = 0; c < norm.channels(); ++c) {
            const auto i = static_cast<size_t>(c);
            mean[c] = static_cast<float>(moments.mean[i]);
            inv_std[c] = static_cast<float>(1 / std::sqrt(moments.variance[i] + epsilon));
            scale[c] = gamma[c] * inv_std[c];
            shift[c] = beta[c] - mean[c] * scale[c];
        }
    }

    static constexpr double epsilon = 1e-5;
};

struct Gradients {
    Guarded dx, dgamma, dbeta;

    explicit Gradients(const NormCase& norm) : dx(norm.x), dgamma({norm.channels()}), dbeta({norm.channels()}) {}
};

Gradients run(const NormCase& norm, const Operands& op, Backend& backend = cpu()) {
    Gradients out(norm);
    backend.batch_norm_backward(out.dx, out.dgamma, out.dbeta, op.dy, op.x, op.mean, op.inv_std, op.scale, op.shift,
                                op.scratch, norm.epilogue, op.control);
    return out;
}

/// sum(dy * y) of the whole layer in double, statistics included.
double loss(const NormCase& norm, const std::vector<double>& x, const std::vector<double>& gamma,
            const std::vector<double>& beta, const std::vector<double>& dy) {
    const NormMoments moments = reference_moments(x, norm.channels());
    std::vector<double> scale, shift;
    for (size_t c = 0; c < gamma.size(); ++c) {
        scale.push_back(gamma[c] / std::sqrt(moments.variance[c] + Operands::epsilon));
        shift.push_back(beta[c] - moments.mean[c] * scale[c]);
    }
    return inner_product(reference_epilogue(norm, x, scale, shift), dy);
}

TEST(BatchNormBackward, EqualsFiniteDifferences) {
    for (const NormCase& norm : norm_cases({{2, 1, 3, 1}, {2, 3, 5, 3}, {1, 4, 3, 9}, {3, 2, 2, 18}})) {
        const Operands op(norm);
        const Gradients out = run(norm, op);
        const std::vector<double> x = op.x.doubles(), gamma = op.gamma.doubles(), beta = op.beta.doubles(),
                                  dy = op.dy.doubles();
        const Tolerance tolerance{.absolute = 1e-6, .of_largest = 2e-6};
        EXPECT_TRUE(close(out.dx,
                          finite_differences(x, [&](const auto& at) { return loss(norm, at, gamma, beta, dy); }),
                          tolerance, "dx " + norm.text()));
        EXPECT_TRUE(close(out.dgamma,
                          finite_differences(gamma, [&](const auto& at) { return loss(norm, x, at, beta, dy); }),
                          tolerance, "dgamma " + norm.text()));
        EXPECT_TRUE(close(out.dbeta,
                          finite_differences(beta, [&](const auto& at) { return loss(norm, x, gamma, at, dy); }),
                          tolerance, "dbeta " + norm.text()));
    }
}

/// The header's formulas in double from the same rounded operands.
struct Expected {
    std::vector<double> dx, dgamma, dbeta;

    Expected(const NormCase& norm, const Operands& op) {
        const std::vector<double> x = op.x.doubles();
        const auto channels = static_cast<size_t>(norm.channels());
        std::vector<double> dz(x.size());
        size_t index = 0;
        for (const Source& source : reference_sources(norm, x, op.scale.doubles(), op.shift.doubles())) {
            const auto i = static_cast<int64_t>(index++);
            if (source.passes)
                dz[source.input] +=
                    static_cast<double>(op.dy[i]) * dropout_factor(norm.epilogue.dropout, norm.control, i);
        }
        const auto xhat = [&](size_t i) {
            const auto c = static_cast<int64_t>(i % channels);
            return (x[i] - static_cast<double>(op.mean[c])) * static_cast<double>(op.inv_std[c]);
        };
        dgamma.resize(channels);
        dbeta.resize(channels);
        for (size_t i = 0; i < x.size(); ++i) dgamma[i % channels] += dz[i] * xhat(i), dbeta[i % channels] += dz[i];
        const auto rows = static_cast<double>(norm.rows());
        for (size_t i = 0; i < x.size(); ++i)
            dx.push_back(static_cast<double>(op.scale[static_cast<int64_t>(i % channels)]) *
                         (dz[i] - dbeta[i % channels] / rows - xhat(i) * dgamma[i % channels] / rows));
    }
};

TEST(BatchNormBackward, EqualsTheFormulaOnLargerShapes) {
    for (const NormCase& norm :
         norm_cases({{3, 5, 3, 9}, {1, 37, 4, 18}, {2, 24, 7, 40}, {1, 501, 1, 64}, {2, 33, 7, 144}})) {
        const Operands op(norm);
        const Gradients out = run(norm, op);
        const Expected expected(norm, op);
        EXPECT_TRUE(close(out.dx, expected.dx, roundings(16), "dx " + norm.text()));
        // Up to 64 terms are added in single precision.
        EXPECT_TRUE(close(out.dgamma, expected.dgamma, roundings(64), "dgamma " + norm.text()));
        EXPECT_TRUE(close(out.dbeta, expected.dbeta, roundings(64), "dbeta " + norm.text()));
    }
}

TEST(BatchNormBackward, FirstOfEqualMaximaTakesTheGradient) {
    // Whole numbers with scale 1, shift 0: every sum is exact, and nearly every window has a tie.
    for (const bool relu : {false, true}) {
        const NormCase norm{{2, 9, 7, 20}, {.relu = relu, .dropout = {}, .max_pool = true}};
        Operands op(norm);
        const Guarded x = integers(norm.x, 5, -2, 2), dy = integers(norm.y(), 6, -4, 4);
        std::copy(x.floats().begin(), x.floats().end(), op.x.floats().begin());
        std::copy(dy.floats().begin(), dy.floats().end(), op.dy.floats().begin());
        for (int64_t c = 0; c < 20; ++c) op.mean[c] = 0, op.inv_std[c] = 1, op.scale[c] = 1, op.shift[c] = 0;
        const Gradients out = run(norm, op);
        const Expected expected(norm, op);
        EXPECT_TRUE(close(out.dgamma, expected.dgamma, {}, "dgamma " + norm.text()));
        EXPECT_TRUE(close(out.dbeta, expected.dbeta, {}, "dbeta " + norm.text()));
        EXPECT_TRUE(close(out.dx, expected.dx, roundings(4), "dx " + norm.text()));
    }
}

TEST(BatchNormBackward, InPlaceAndWithoutDx) {
    for (const NormCase& norm : norm_cases({{2, 5, 7, 40}})) {
        const Operands op(norm);
        const Gradients out = run(norm, op);
        Gradients without(norm);
        cpu().batch_norm_backward({}, without.dgamma, without.dbeta, op.dy, op.x, op.mean, op.inv_std, op.scale,
                                  op.shift, op.scratch, norm.epilogue, op.control);
        EXPECT_TRUE(without.dgamma.same_bytes(out.dgamma)) << norm.text();
        EXPECT_TRUE(without.dbeta.same_bytes(out.dbeta)) << norm.text();
        cpu().batch_norm_backward(op.x, without.dgamma, without.dbeta, op.dy, op.x, op.mean, op.inv_std, op.scale,
                                  op.shift, op.scratch, norm.epilogue, op.control);
        EXPECT_TRUE(op.x.same_bytes(out.dx)) << norm.text();
    }
}

TEST(BatchNormBackward, SameBitsOnAnyNumberOfThreads) {
    for (const NormCase& norm : norm_cases({{3, 63, 9, 72}})) {
        const Operands op(norm);
        expect_same_bits([&](Backend& backend) {
            const Gradients out = run(norm, op, backend);
            return std::vector<Guarded>{out.dx, out.dgamma, out.dbeta};
        });
    }
}

TEST(BatchNormBackward, WrongShapesAreRefused) {
    const NormCase norm{{2, 4, 4, 6}, {.relu = true, .dropout = {}, .max_pool = true}};
    const Operands op(norm);
    Gradients out(norm);
    const auto backward = [&](Tensor dx, Tensor dy, Tensor scratch, const NormEpilogue& epilogue) {
        cpu().batch_norm_backward(dx, out.dgamma, out.dbeta, dy, op.x, op.mean, op.inv_std, op.scale, op.shift, scratch,
                                  epilogue, op.control);
    };
    EXPECT_NO_THROW(backward(out.dx, op.dy, op.scratch, norm.epilogue));
    EXPECT_THROW(backward(out.dx, op.x, op.scratch, norm.epilogue), std::logic_error);
    EXPECT_THROW(backward(out.dx, op.dy, op.scratch, {.relu = true, .dropout = {}, .max_pool = false}),
                 std::logic_error);
    EXPECT_THROW(backward(op.dy, op.dy, op.scratch, norm.epilogue), std::logic_error);
    EXPECT_THROW(backward(out.dx, op.dy, {}, norm.epilogue), std::logic_error);
    const Guarded small({8}, DType::U8);
    EXPECT_THROW(backward(out.dx, op.dy, small, norm.epilogue), std::logic_error);
}

} // namespace
} // namespace scene::test
