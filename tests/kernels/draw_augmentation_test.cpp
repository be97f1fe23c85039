#include "tests/support/clip_draws.h"

#include "tests/support/op_test.h"

namespace scene::test {
namespace {

DrawAugmentation<HostArray> draw_of(const Augmentation& settings, int64_t batch, const StepControl& control,
                                    int64_t frames = 500, int64_t bands = 64) {
    return {.draws = empty({batch, sizeof(ClipDraw)}, DType::U8),
            .control = control_of(control),
            .sampler = AugmentationSampler(settings),
            .frames = frames,
            .bands = bands};
}

/// To the bit: a run may resume on another device with the same draws.
TEST(DrawAugmentation, EqualsTheReference) {
    const std::vector<Augmentation> cases{everything,
                                          {},
                                          {.roll = 1000000, .gain = 0.1f},
                                          {.style_probability = 1, .style_alpha = 2},
                                          {.mixup_probability = 1, .mixup_alpha = 0.1f}};
    for (const Augmentation& settings : cases)
        for (const int64_t batch : {1, 2, 300})
            for (uint32_t step = 0; step < 3; ++step)
                expect_like_reference(draw_of(settings, batch, {.seed = 0xFEDCBA9876543210u, .step = step * 1000003}));
}

/// The bits of a draw must not change: a run may resume with a newer build.
TEST(DrawAugmentation, KnownAnswer) {
    on_each_device(draw_of(everything, 5, {.seed = 1234, .step = 7}, 50, 17), [](const auto& after) {
        const ClipDraw draw = draws_in(after.draws)[3];
        EXPECT_EQ(draw.roll, 6);
        EXPECT_EQ(draw.gain, 0x1.681872p+0f);
        EXPECT_EQ(draw.style_partner, 1);
        EXPECT_EQ(draw.style_share, 0x1.55594p-6f);
        EXPECT_EQ(draw.mix_partner, 1);
        EXPECT_EQ(draw.mix_share, 0x1.c2530ap-1f);
        EXPECT_EQ(draw.frequency[1].first, 11);
        EXPECT_EQ(draw.frequency[1].count, 0);
        EXPECT_EQ(draw.time[2].first, 17);
        EXPECT_EQ(draw.time[2].count, 5);
    });
}

TEST(DrawAugmentation, SameBits) { expect_same_bits(draw_of(everything, 40, {.seed = 5, .step = 2})); }

TEST(DrawAugmentation, WrongOperandsAreRefused) {
    DrawAugmentation<HostArray> op = draw_of(everything, 2, {});
    op.draws = empty({2, 8}, DType::U8);
    expect_refused(op);
    op.draws = empty({2, sizeof(ClipDraw) / 4}, DType::I32);
    expect_refused(op);
    op = draw_of(everything, 2, {});
    op.control = indices_of({2}, {1, 2});
    expect_refused(op);
}

} // namespace
} // namespace scene::test
