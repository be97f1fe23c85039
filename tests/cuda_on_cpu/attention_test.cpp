#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

struct Case {
    int64_t clips, tokens, features;
    int heads;
};
const std::vector<Case> cases = {{2, 16, 128, 8}, {3, 7, 12, 3}, {1, 1, 5, 1}, {2, 33, 20, 2}};
const std::vector<Dropout> dropouts = {{}, {.p = 0.2f, .stream = 9}};
const StepControl control{.seed = 5, .step = 12};

TEST(CudaAttention, ForwardAndBackward) {
    for (const Case& c : cases) {
        for (const Dropout& dropout : dropouts) {
            for_each_setting([&](DType dtype) {
                const Shape in{c.clips, c.tokens, 3 * c.features}, shape{c.clips, c.tokens, c.features};
                const Guarded qkv = stored_as(dtype, uniform(in, 1, -2, 2)), dout = stored_as(dtype, uniform(shape, 2));
                const Guarded out(shape), dqkv(in), state = control_with(control);
                cpu().attention_forward(out, qkv, c.heads, dropout, state);
                cpu().attention_backward(dqkv, dout, qkv, c.heads, dropout, state);
                const OnDevice d_out(shape, dtype), d_dqkv(in, dtype), d_qkv(qkv, dtype), d_dout(dout, dtype);
                const OnDevice d_state(state);
                cuda::attention_forward(d_out, d_qkv, c.heads, dropout, d_state, nullptr);
                cuda::attention_backward(d_dqkv, d_dout, d_qkv, c.heads, dropout, d_state, nullptr);
                const double terms = 4.0 * static_cast<double>(c.tokens + c.features / c.heads);
                EXPECT_TRUE(close(d_out, out, rounding(dtype, terms), in.text() + " out"));
                EXPECT_TRUE(close(d_dqkv, dqkv, rounding(dtype, terms), in.text() + " dqkv"));
            });
        }
    }
}

TEST(CudaAttention, LargeScoresDoNotOverflow) {
    for_each_setting([](DType dtype) {
        const Shape in{1, 5, 24}, shape{1, 5, 8};
        const Guarded qkv = stored_as(dtype, uniform(in, 3, -30, 30)), out(shape), state = control_with(control);
        cpu().attention_forward(out, qkv, 2, {}, state);
        const OnDevice d_out(shape, dtype), d_qkv(qkv, dtype);
        cuda::attention_forward(d_out, d_qkv, 2, {}, {}, nullptr);
        // An error of the score, at most 30*30*4/2 large, is one of the probability's logarithm.
        EXPECT_TRUE(close(d_out, out, rounding(dtype, 2e6), "out"));
    });
}

TEST(CudaAttention, TooManyTokensAreRefused) {
    const OnDevice qkv({1, 250, 24}), out({1, 250, 8});
    EXPECT_THROW(cuda::attention_forward(out, qkv, 2, {}, {}, nullptr), std::logic_error);
}

} // namespace
} // namespace scene::test
