#include "tests/support/op_test.h"

namespace scene::test {
namespace {

Advance<HostArray> advance_of(const StepControl& control, uint32_t batch, uint32_t steps) {
    return {.control = control_of(control), .batch = batch, .steps = steps};
}

TEST(Advance, MovesCursorAndStepOnly) {
    const StepControl before{
        .seed = 9, .step = 4, .cursor = 64, .learning_rate = 0.5f, .loss_scale = 2, .nonfinite = 0, .good_steps = 3};
    for (const uint32_t steps : {1, 0}) {
        expect_like_reference(advance_of(before, 16, steps));
        on_each_device(advance_of(before, 16, steps), [&](const Advance<HostArray>& op) {
            const StepControl after = control_in(op.control);
            EXPECT_EQ(after.cursor, 80u);
            EXPECT_EQ(after.step, 4 + steps);
            EXPECT_EQ(after.seed, 9u);
            EXPECT_EQ(after.learning_rate, 0.5f);
            EXPECT_EQ(after.loss_scale, 2.0f);
            EXPECT_EQ(after.nonfinite, 0u);
            EXPECT_EQ(after.good_steps, 3u);
        });
    }
}

TEST(Advance, ASkippedStepMovesTheCursorAlone) {
    const StepControl before{.step = 4, .cursor = 64, .nonfinite = 1};
    expect_like_reference(advance_of(before, 16, 1));
    on_each_device(advance_of(before, 16, 1), [](const Advance<HostArray>& op) {
        const StepControl after = control_in(op.control);
        EXPECT_EQ(after.cursor, 80u);
        EXPECT_EQ(after.step, 4u);
        EXPECT_EQ(after.nonfinite, 1u);
    });
}

TEST(Advance, AnotherControlIsRefused) {
    expect_refused(Advance<HostArray>{.control = indices_of({2}, {1, 2}), .batch = 1, .steps = 1});
}

} // namespace
} // namespace scene::test
