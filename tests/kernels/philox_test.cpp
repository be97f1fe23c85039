#include "kernels/philox.h"

#include <vector>

#include "kernels/cpu/dropout.h"
#include "tests/support/tensors.h"

namespace scene::test {
namespace {

struct KnownAnswer {
    PhiloxBlock counter;
    uint32_t key0, key1;
    PhiloxBlock answer;
};

// The known-answer vectors of philox4x32-10 that come with Random123, the authors' library.
TEST(Philox, KnownAnswers) {
    const std::vector<KnownAnswer> vectors{{{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
                                           {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
                                            0xffffffff,
                                            0xffffffff,
                                            {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
                                           {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
                                            0xa4093822,
                                            0x299f31d0,
                                            {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}};
    for (const KnownAnswer& known : vectors) {
        const PhiloxBlock block = philox4x32(known.counter, known.key0, known.key1);
        for (int i = 0; i < 4; ++i) EXPECT_EQ(block.word[i], known.answer.word[i]);
    }
}

TEST(Philox, ArgumentsHaveTheirOwnPlaceInCounterAndKey) {
    const PhiloxBlock block = random_block(0x299f31d0a4093822, 0x03707344, 0x13198a2e, 0x85a308d3243f6a88);
    EXPECT_EQ(block.word[0], 0xd16cfe09u);
    EXPECT_EQ(block.word[3], 0x24126ea1u);
    EXPECT_EQ(random_word(7, 3, 2, 4 * 11 + 2), random_block(7, 3, 2, 11).word[2]);
}

TEST(Philox, UniformIsInTheHalfOpenInterval) {
    EXPECT_EQ(uniform_of(0), 0.0f);
    EXPECT_LT(uniform_of(0xffffffff), 1.0f);
    double sum = 0;
    for (uint64_t i = 0; i < 10000; ++i) sum += static_cast<double>(uniform_of(random_word(1, 2, 3, i)));
    EXPECT_NEAR(sum / 10000, 0.5, 0.015); // 5 standard errors
}

TEST(Dropout, FactorsAreTheRandomWordsElementByElement) {
    const StepControl control{.seed = 0x123456789abcdef0, .step = 77};
    const Dropout dropout{.p = 0.3f, .stream = 5};
    for (const int64_t first : {0l, 1l, 2l, 3l, 61l, 4l * 0xffffffffl - 7}) {
        for (const int64_t count : {1l, 3l, 4l, 63l, 64l, 65l, 129l, 400l}) {
            const Guarded factor({count});
            cpu::dropout_factors(factor.floats().data(), first, count, dropout, control);
            for (int64_t i = 0; i < count; ++i)
                ASSERT_FLOAT_EQ(factor[i], static_cast<float>(dropout_factor(dropout, control, first + i)))
                    << "element " << first << " + " << i;
        }
    }
}

TEST(Dropout, DropsTheProbabilityGiven) {
    for (const float p : {0.1f, 0.5f, 0.9f}) {
        const Guarded factor({100000});
        cpu::dropout_factors(factor.floats().data(), 0, factor.size(), {p, 1}, StepControl{.seed = 3});
        double sum = 0;
        int64_t dropped = 0;
        for (const float value : factor.floats()) sum += static_cast<double>(value), dropped += value == 0;
        EXPECT_NEAR(static_cast<double>(dropped) / 1e5, static_cast<double>(p), 0.008); // 5 standard errors
        EXPECT_NEAR(sum / 1e5, 1, 0.05);
    }
}

TEST(Dropout, RefusesAProbabilityOutsideItsRange) {
    const Guarded control = control_with({});
    std::vector<float> memory(cpu::DropoutRows::scratch_bytes(8, 1) / sizeof(float));
    const auto rows = [&](float p, const Tensor& step) { cpu::DropoutRows({p, 0}, step, 8, 1, memory.data()); };
    EXPECT_THROW(rows(1.0f, control), std::logic_error);
    EXPECT_THROW(rows(-0.1f, control), std::logic_error);
    EXPECT_THROW(rows(0.5f, Tensor{}), std::logic_error);
    EXPECT_NO_THROW(rows(0.0f, Tensor{}));
}

} // namespace
} // namespace scene::test
