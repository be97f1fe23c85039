#include <algorithm>
#include <vector>

#include "tests/support/gradients.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

using Values = std::vector<double>;

struct Case {
    Shape x; ///< [N, H, W, C]
    int64_t tokens;

    Shape y() const { return {x[0], tokens, x[3]}; }
    std::string text() const { return x.text() + " to " + std::to_string(tokens) + " tokens"; }
};

// The model's extents, T that divides H and that does not, T = H, T > H, one token, one row.
const std::vector<Case> cases{{{1, 62, 8, 9}, 16}, {{3, 7, 3, 5}, 3}, {{2, 6, 1, 18}, 6},   {{1, 3, 2, 4}, 5},
                              {{2, 5, 4, 40}, 1},  {{1, 1, 1, 1}, 1}, {{2, 31, 3, 128}, 16}};

Values reference_pool(const Case& c, const Values& x) {
    Values y;
    for (int64_t n = 0; n < c.x[0]; ++n)
        for (int64_t t = 0; t < c.tokens; ++t)
            for (int64_t channel = 0; channel < c.x[3]; ++channel) {
                double sum = 0, count = 0;
                const int64_t first = t * c.x[1] / c.tokens, last = ((t + 1) * c.x[1] + c.tokens - 1) / c.tokens;
                for (int64_t h = first; h < last; ++h)
                    for (int64_t w = 0; w < c.x[2]; ++w, ++count)
                        sum += x[static_cast<size_t>(((n * c.x[1] + h) * c.x[2] + w) * c.x[3] + channel)];
                y.push_back(sum / count);
            }
    return y;
}

TEST(TokenPool, ForwardEqualsTheReference) {
    for (const Case& c : cases) {
        const Guarded x = uniform(c.x, 1), y(c.y());
        cpu().token_pool_forward(y, x);
        EXPECT_TRUE(close(y, reference_pool(c, x.doubles()), roundings(32), c.text()));
    }
}

TEST(TokenPool, BackwardEqualsFiniteDifferences) {
    for (const Case& c : cases) {
        const Guarded dy = uniform(c.y(), 1), dx(c.x);
        cpu().token_pool_backward(dx, dy);
        if (c.x.elements() > 1000) continue; // the adjoint test below takes these
        const auto loss = [&](const Values& at) { return inner_product(reference_pool(c, at), dy.doubles()); };
        // The op is linear, so differences are exact at any point and for any step.
        const Values expected = finite_differences(Values(static_cast<size_t>(c.x.elements()), 0.0), loss, 1);
        EXPECT_TRUE(close(dx, expected, roundings(4), c.text()));
    }
}

TEST(TokenPool, BackwardIsTheAdjointOfForward) {
    // <dy, pool(x)> = <dx, x> for every x and dy.
    for (const Case& c : cases) {
        const Guarded x = uniform(c.x, 1), dy = uniform(c.y(), 2), dx(c.x);
        cpu().token_pool_backward(dx, dy);
        const double forward = inner_product(reference_pool(c, x.doubles()), dy.doubles());
        EXPECT_NEAR(inner_product(dx.doubles(), x.doubles()), forward, 1e-5) << c.text();
    }
}

TEST(TokenMax, FirstOfEqualMaxima) {
    for (const Shape& shape : std::vector<Shape>{{1, 1, 1}, {3, 5, 9}, {2, 16, 18}, {1, 7, 40}, {3, 16, 128}}) {
        const Guarded x = integers(shape, 1, -2, 2);
        const Guarded y({shape[0], shape[2]}), argmax({shape[0], shape[2]}, DType::I32), dx(shape);
        const Guarded dy = uniform(y.shape(), 2);
        cpu().token_max_forward(y, argmax, x);
        cpu().token_max_backward(dx, dy, argmax);
        Values expected_y, expected_dx(static_cast<size_t>(shape.elements()));
        for (int64_t n = 0; n < shape[0]; ++n)
            for (int64_t d = 0; d < shape[2]; ++d) {
                int64_t first = 0;
                const auto at = [&](int64_t t) { return (n * shape[1] + t) * shape[2] + d; };
                for (int64_t t = 1; t < shape[1]; ++t)
                    if (x[at(t)] > x[at(first)]) first = t;
                expected_y.push_back(static_cast<double>(x[at(first)]));
                expected_dx[static_cast<size_t>(at(first))] = static_cast<double>(dy[n * shape[2] + d]);
                EXPECT_EQ(argmax.as<int32_t>()[static_cast<size_t>(n * shape[2] + d)], first);
            }
        EXPECT_TRUE(close(y, expected_y, {}, "y " + shape.text()));
        EXPECT_TRUE(close(dx, expected_dx, {}, "dx " + shape.text()));
    }
}

TEST(TokenMax, BackwardEqualsFiniteDifferences) {
    const Shape shape{2, 5, 9};
    const Guarded x = uniform(shape, 3), dy = uniform({2, 9}, 4), dx(shape), y({2, 9}), argmax({2, 9}, DType::I32);
    cpu().token_max_forward(y, argmax, x);
    cpu().token_max_backward(dx, dy, argmax);
    const auto loss = [&](const Values& at) {
        double sum = 0;
        for (size_t n = 0; n < 2; ++n)
            for (size_t d = 0; d < 9; ++d) {
                double largest = at[n * 45 + d];
                for (size_t t = 1; t < 5; ++t) largest = std::max(largest, at[n * 45 + t * 9 + d]);
                sum += largest * dy.doubles()[n * 9 + d];
            }
        return sum;
    };
    EXPECT_TRUE(close(dx, finite_differences(x.doubles(), loss), {.absolute = 1e-6}, "dx"));
}

TEST(TokenOps, SameBitsOnAnyNumberOfThreads) {
    const Guarded x = uniform({3, 62, 8, 128}, 1), dy = uniform({3, 16, 128}, 2);
    expect_same_bits([&](Backend& backend) {
        std::vector<Guarded> out{Guarded({3, 16, 128}), Guarded({3, 62, 8, 128}), Guarded({3, 128}),
                                 Guarded({3, 128}, DType::I32), Guarded({3, 16, 128})};
        backend.token_pool_forward(out[0], x);
        backend.token_pool_backward(out[1], dy);
        backend.token_max_forward(out[2], out[3], dy);
        backend.token_max_backward(out[4], out[2], out[3]);
        return out;
    });
}

TEST(TokenOps, WrongShapesAndTypesAreRefused) {
    const Guarded x = uniform({2, 6, 3, 5}, 1), tokens = uniform({2, 4, 5}, 2), wrong = uniform({2, 4, 6}, 2);
    const Guarded y({2, 5}), argmax({2, 5}, DType::I32);
    EXPECT_THROW(cpu().token_pool_forward(wrong, x), std::logic_error);
    EXPECT_THROW(cpu().token_pool_forward(tokens, tokens), std::logic_error);
    EXPECT_THROW(cpu().token_pool_backward(x, wrong), std::logic_error);
    EXPECT_THROW(cpu().token_max_forward(y, y, tokens), std::logic_error);
    EXPECT_THROW(cpu().token_max_forward(y, argmax, wrong), std::logic_error);
    EXPECT_THROW(cpu().token_max_backward(wrong, y, argmax), std::logic_error);
}

} // namespace
} // namespace scene::test
