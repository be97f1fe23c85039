#include <cmath>
#include <vector>

#include "tests/support/gradients.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

struct Case {
    int64_t clips, tokens, features;
    int heads;
    Dropout dropout;
    StepControl control{.seed = 5, .step = 3};

    Shape qkv() const { return {clips, tokens, 3 * features}; }
    Shape out() const { return {clips, tokens, features}; }
    std::string text() const {
        return out().text() + " heads " + std::to_string(heads) + " p " + std::to_string(dropout.p);
    }
};

Values reference_attention(const Case& c, const Values& qkv) {
    Values out(static_cast<size_t>(c.out().elements()));
    const int64_t size = c.features / c.heads;
    for (int64_t n = 0; n < c.clips; ++n)
        for (int64_t h = 0; h < c.heads; ++h)
            for (int64_t i = 0; i < c.tokens; ++i) {
                const auto at = [&](int64_t token, int64_t part, int64_t d) {
                    return qkv[static_cast<size_t>(((n * c.tokens + token) * 3 + part) * c.features + h * size + d)];
                };
                Values p;
                double sum = 0;
                for (int64_t j = 0; j < c.tokens; ++j) {
                    double score = 0;
                    for (int64_t d = 0; d < size; ++d) score += at(i, 0, d) * at(j, 1, d);
                    p.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
                    sum += p.back();
                }
                for (int64_t j = 0; j < c.tokens; ++j) {
                    const int64_t index = ((n * c.heads + h) * c.tokens + i) * c.tokens + j;
                    const double weight = p[static_cast<size_t>(j)] / sum * dropout_factor(c.dropout, c.control, index);
                    for (int64_t d = 0; d < size; ++d)
                        out[static_cast<size_t>((n * c.tokens + i) * c.features + h * size + d)] +=
                            weight * at(j, 2, d);
                }
            }
    return out;
}

const std::vector<Case> small_cases{
    {1, 1, 2, 1, {}}, {2, 3, 6, 2, {}}, {1, 5, 9, 3, {0.4f, 7}}, {2, 4, 4, 4, {0.1f, 7}}};

TEST(Attention, ForwardEqualsTheReference) {
    std::vector<Case> cases = small_cases;
    cases.push_back({3, 16, 128, 8, {}});
    cases.push_back({3, 16, 128, 8, {0.1f, 1}});
    cases.push_back({1, 17, 40, 1, {}});
    for (const Case& c : cases) {
        const Guarded qkv = uniform(c.qkv(), 1, -2, 2), out(c.out());
        cpu().attention_forward(out, qkv, c.heads, c.dropout, control_with(c.control));
        EXPECT_TRUE(close(out, reference_attention(c, qkv.doubles()), roundings(32), c.text()));
    }
}

TEST(Attention, BackwardEqualsFiniteDifferences) {
    std::vector<Case> cases = small_cases;
    cases.push_back({1, 16, 16, 2, {0.1f, 1}});
    for (const Case& c : cases) {
        const Guarded qkv = uniform(c.qkv(), 1), dout = uniform(c.out(), 2), dqkv(c.qkv());
        cpu().attention_backward(dqkv, dout, qkv, c.heads, c.dropout, control_with(c.control));
        const auto loss = [&](const Values& at) { return inner_product(reference_attention(c, at), dout.doubles()); };
        EXPECT_TRUE(close(dqkv, finite_differences(qkv.doubles(), loss), {.absolute = 1e-6}, c.text()));
    }
}

TEST(Attention, BackwardOfTheModelsShapeEqualsDirectionalDifferences) {
    const Case c{2, 16, 128, 8, {0.1f, 3}};
    const Guarded qkv = uniform(c.qkv(), 1), dout = uniform(c.out(), 2), dqkv(c.qkv());
    cpu().attention_backward(dqkv, dout, qkv, c.heads, c.dropout, control_with(c.control));
    for (uint64_t seed = 10; seed < 18; ++seed) {
        const Values direction = uniform(c.qkv(), seed).doubles();
        const auto along = [&](const Values& t) {
            Values at = qkv.doubles();
            for (size_t i = 0; i < at.size(); ++i) at[i] += t[0] * direction[i];
            return inner_product(reference_attention(c, at), dout.doubles());
        };
        EXPECT_NEAR(inner_product(dqkv.doubles(), direction), finite_differences({0}, along)[0], 1e-5);
    }
}

TEST(Attention, LargeScoresStayFinite) {
    // Scores of some thousands: each query attends to one token, and exp() of a score alone would overflow.
    const Guarded qkv = uniform({1, 4, 24}, 1, -200, 200), out({1, 4, 8}), dqkv({1, 4, 24});
    cpu().attention_forward(out, qkv, 2, {}, {});
    cpu().attention_backward(dqkv, out, qkv, 2, {}, {});
    for (const float value : out.floats()) EXPECT_LE(std::abs(value), 200);
    for (const float value : dqkv.floats()) EXPECT_TRUE(std::isfinite(value));
}

TEST(Attention, SameBitsOnAnyNumberOfThreads) {
    const Case c{5, 16, 128, 8, {0.1f, 1}};
    const Guarded qkv = uniform(c.qkv(), 1), dout = uniform(c.out(), 2), control = control_with(c.control);
    expect_same_bits([&](Backend& backend) {
        std::vector<Guarded> out{Guarded(c.out()), Guarded(c.qkv())};
        backend.attention_forward(out[0], qkv, c.heads, c.dropout, control);
        backend.attention_backward(out[1], dout, qkv, c.heads, c.dropout, control);
        return out;
    });
}

TEST(Attention, WrongShapesAreRefused) {
    const Guarded qkv = uniform({1, 4, 24}, 1), out({1, 4, 8}), wrong({1, 4, 9}), dqkv({1, 4, 24});
    EXPECT_THROW(cpu().attention_forward(wrong, qkv, 2, {}, {}), std::logic_error);
    EXPECT_THROW(cpu().attention_forward(out, qkv, 3, {}, {}), std::logic_error);
    EXPECT_THROW(cpu().attention_forward(out, qkv, 0, {}, {}), std::logic_error);
    EXPECT_THROW(cpu().attention_forward(out, qkv, 2, {0.1f, 1}, {}), std::logic_error);
    EXPECT_THROW(cpu().attention_backward(dqkv, wrong, qkv, 2, {}, {}), std::logic_error);
    EXPECT_THROW(cpu().attention_backward(out, out, qkv, 2, {}, {}), std::logic_error);
}

} // namespace
} // namespace scene::test
