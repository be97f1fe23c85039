#include <cmath>
#include <vector>

#include "tests/support/gradients.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

constexpr float epsilon = 1e-5f;

struct Case {
    Shape x; ///< [N, T, D]
    Dropout dropout;
    StepControl control{.seed = 8, .step = 2};

    int64_t features() const { return x[2]; }
    int64_t rows() const { return x[0] * x[1]; }
    std::string text() const { return x.text() + " p " + std::to_string(dropout.p); }
};

struct Operands {
    Guarded x, branch, gamma, beta, dy, control;

    explicit Operands(const Case& c)
        : x(uniform(c.x, 1)), branch(uniform(c.x, 2)), gamma(uniform({c.features()}, 3, 0.5f, 1.5f)),
          beta(uniform({c.features()}, 4)), dy(uniform(c.x, 5)), control(control_with(c.control)) {}
};

struct Outputs {
    Guarded y, moments, dx, dbranch, dgamma, dbeta;

    explicit Outputs(const Case& c)
        : y(c.x), moments({c.rows(), 2}), dx(c.x), dbranch(c.x), dgamma({c.features()}), dbeta({c.features()}) {}
};

Outputs run(const Case& c, const Operands& op, Backend& backend = cpu()) {
    Outputs out(c);
    backend.layer_norm_forward(out.y, out.moments, op.x, op.branch, op.gamma, op.beta, epsilon, c.dropout, op.control);
    backend.layer_norm_backward(out.dx, out.dbranch, out.dgamma, out.dbeta, op.dy, out.moments, op.x, op.branch,
                                op.gamma, c.dropout, op.control);
    return out;
}

struct Reference {
    Values y, moments;

    Reference(const Case& c, const Values& x, const Values& branch, const Values& gamma, const Values& beta) {
        const auto width = static_cast<size_t>(c.features());
        for (size_t row = 0; row < x.size(); row += width) {
            Values s;
            double mean = 0, variance = 0;
            for (size_t i = row; i < row + width; ++i) {
                s.push_back(x[i] + branch[i] * dropout_factor(c.dropout, c.control, static_cast<int64_t>(i)));
                mean += s.back() / static_cast<double>(width);
            }
            for (const double value : s) variance += (value - mean) * (value - mean) / static_cast<double>(width);
            const double inv_std = 1 / std::sqrt(variance + static_cast<double>(epsilon));
            for (size_t d = 0; d < width; ++d) y.push_back((s[d] - mean) * inv_std * gamma[d] + beta[d]);
            moments.push_back(mean);
            moments.push_back(inv_std);
        }
    }
};

const std::vector<Case> cases{
    {{1, 1, 2}, {}}, {{2, 3, 9}, {0.3f, 1}}, {{1, 5, 18}, {}}, {{3, 2, 40}, {0.1f, 2}}, {{2, 1, 33}, {0.5f, 3}}};

TEST(LayerNorm, ForwardEqualsTheReference) {
    std::vector<Case> all = cases;
    all.push_back({{3, 16, 128}, {0.1f, 4}});
    for (const Case& c : all) {
        const Operands op(c);
        const Outputs out = run(c, op);
        const Reference expected(c, op.x.doubles(), op.branch.doubles(), op.gamma.doubles(), op.beta.doubles());
        EXPECT_TRUE(close(out.y, expected.y, roundings(16), "y " + c.text()));
        EXPECT_TRUE(close(out.moments, expected.moments, roundings(16), "moments " + c.text()));
    }
}

TEST(LayerNorm, BackwardEqualsFiniteDifferences) {
    for (const Case& c : cases) {
        if (c.features() == 2) continue; // two features: the gradient is nearly zero, the third derivative is not
        const Operands op(c);
        const Outputs out = run(c, op);
        const Values x = op.x.doubles(), branch = op.branch.doubles(), gamma = op.gamma.doubles(),
                     beta = op.beta.doubles(), dy = op.dy.doubles();
        const auto check = [&](const Guarded& actual, const Values& at, const std::string& name, auto&& y_at) {
            const auto loss = [&](const Values& values) { return inner_product(y_at(values).y, dy); };
            EXPECT_TRUE(close(actual, finite_differences(at, loss), {.absolute = 1e-6, .of_largest = 1e-6},
                              name + " " + c.text()));
        };
        check(out.dx, x, "dx", [&](const Values& v) { return Reference(c, v, branch, gamma, beta); });
        check(out.dbranch, branch, "dbranch", [&](const Values& v) { return Reference(c, x, v, gamma, beta); });
        check(out.dgamma, gamma, "dgamma", [&](const Values& v) { return Reference(c, x, branch, v, beta); });
        check(out.dbeta, beta, "dbeta", [&](const Values& v) { return Reference(c, x, branch, gamma, v); });
    }
}

TEST(LayerNorm, BackwardOfManyRowsEqualsTheFormula) {
    const Case c{{20, 16, 128}, {0.1f, 4}};
    const Operands op(c);
    const Outputs out = run(c, op);
    const auto width = static_cast<size_t>(c.features());
    Values dx, dbranch, dgamma(width), dbeta(width);
    for (size_t row = 0; row < static_cast<size_t>(c.rows()); ++row) {
        const double mean = out.moments.doubles()[2 * row], inv_std = out.moments.doubles()[2 * row + 1];
        Values xhat, g, factor;
        double mean_g = 0, mean_g_xhat = 0;
        for (size_t d = 0; d < width; ++d) {
            const auto i = static_cast<int64_t>(row * width + d);
            factor.push_back(dropout_factor(c.dropout, c.control, i));
            const double s = static_cast<double>(op.x[i]) + static_cast<double>(op.branch[i]) * factor[d];
            xhat.push_back((s - mean) * inv_std);
            const auto dy = static_cast<double>(op.dy[i]);
            g.push_back(dy * static_cast<double>(op.gamma[static_cast<int64_t>(d)]));
            mean_g += g[d] / static_cast<double>(width);
            mean_g_xhat += g[d] * xhat[d] / static_cast<double>(width);
            dgamma[d] += dy * xhat[d];
            dbeta[d] += dy;
        }
        for (size_t d = 0; d < width; ++d) {
            dx.push_back(inv_std * (g[d] - mean_g - xhat[d] * mean_g_xhat));
            dbranch.push_back(dx.back() * factor[d]);
        }
    }
    EXPECT_TRUE(close(out.dx, dx, roundings(32), "dx"));
    EXPECT_TRUE(close(out.dbranch, dbranch, roundings(32), "dbranch"));
    EXPECT_TRUE(close(out.dgamma, dgamma, roundings(64), "dgamma"));
    EXPECT_TRUE(close(out.dbeta, dbeta, roundings(64), "dbeta"));
}

TEST(LayerNorm, SameBitsOnAnyNumberOfThreads) {
    const Case c{{40, 16, 128}, {0.1f, 4}};
    const Operands op(c);
    expect_same_bits([&](Backend& backend) {
        const Outputs out = run(c, op, backend);
        return std::vector<Guarded>{out.y, out.moments, out.dx, out.dbranch, out.dgamma, out.dbeta};
    });
}

TEST(LayerNorm, WrongShapesAreRefused) {
    const Case c{{2, 3, 9}, {}};
    const Operands op(c);
    const Outputs out(c);
    const Guarded eight = uniform({8}, 1), short_moments({5, 2});
    EXPECT_THROW(cpu().layer_norm_forward(out.y, out.moments, op.x, op.branch, eight, op.beta, epsilon, {}, {}),
                 std::logic_error);
    EXPECT_THROW(cpu().layer_norm_forward(out.y, out.moments, op.x, eight, op.gamma, op.beta, epsilon, {}, {}),
                 std::logic_error);
    EXPECT_THROW(cpu().layer_norm_forward(out.y, short_moments, op.x, op.branch, op.gamma, op.beta, epsilon, {}, {}),
                 std::logic_error);
    EXPECT_THROW(cpu().layer_norm_backward(out.dx, eight, out.dgamma, out.dbeta, op.dy, out.moments, op.x, op.branch,
                                           op.gamma, {}, {}),
                 std::logic_error);
}

} // namespace
} // namespace scene::test
