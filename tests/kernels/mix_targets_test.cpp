#include <cmath>

#include "tests/support/clip_draws.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

const Augmentation often{.mixup_probability = 0.6f, .mixup_alpha = 0.4f};

MixTargets<HostArray> mix_of(const HostArray& target, const HostArray& weight, const HostArray& draws) {
    return {.mixed_target = empty(target.shape),
            .mixed_weight = empty(weight.shape),
            .target = target,
            .weight = weight,
            .draws = draws};
}

/// Some weights are 0.
TEST(MixTargets, EqualTheReference) {
    for (const int64_t batch : {1, 3, 270})
        for (const uint64_t seed : {1, 2, 3}) {
            HostArray weight = uniform_f32({batch}, seed, 0, 4);
            for (double& value : weight.values) value = std::floor(value);
            expect_like_reference(
                mix_of(uniform_f32({batch, 10}, seed, 0, 1), weight, draws_for(often, {batch, 50, 8}, {.seed = seed})),
                std::to_string(batch));
        }
}

/// -sum q log p with q = (1 - smoothing) target + smoothing/K.
double loss_of(const double* target, const std::vector<double>& p, double smoothing) {
    double loss = 0;
    for (size_t k = 0; k < p.size(); ++k)
        loss -= ((1 - smoothing) * target[k] + smoothing / static_cast<double>(p.size())) * std::log(p[k]);
    return loss;
}

TEST(MixTargets, TheLossIsThatOfBothClipsInTheirShares) {
    constexpr int64_t batch = 6, classes = 3;
    const HostArray drawn = draws_for(often, {batch, 50, 17}, {.seed = 77, .step = 3});
    const std::vector<ClipDraw> draws = draws_in(drawn);
    HostArray target = uniform_f32({batch, classes}, 1, 0, 1);
    const HostArray weight = uniform_f32({batch}, 2, 0.2, 4);
    for (int64_t n = 0; n < batch; ++n) { // class distributions
        const double sum = target[3 * n] + target[3 * n + 1] + target[3 * n + 2];
        for (int64_t k = 0; k < classes; ++k) target[3 * n + k] /= sum;
    }
    target.values = stored_as(DType::F32, target.values);
    const std::vector<double> p{0.7, 0.2, 0.1};
    on_each_device(mix_of(target, weight, drawn), [&](const MixTargets<HostArray>& after) {
        int mixed = 0;
        for (int64_t n = 0; n < batch; ++n) {
            const int64_t partner = draws[n].mix_partner;
            const double share = static_cast<double>(draws[n].mix_share);
            mixed += share < 1;
            for (const double smoothing : {0.0, 0.1}) {
                const double expected = share * weight[n] * loss_of(&target[3 * n], p, smoothing) +
                                        (1 - share) * weight[partner] * loss_of(&target[3 * partner], p, smoothing);
                EXPECT_NEAR(after.mixed_weight[n] * loss_of(&after.mixed_target.values[3 * n], p, smoothing), expected,
                            1e-6 * expected);
            }
            if (share == 1) {
                EXPECT_EQ(after.mixed_weight[n], weight[n]);
                EXPECT_EQ(after.mixed_target[3 * n], target[3 * n]);
            }
        }
        EXPECT_TRUE(mixed > 0 && mixed < batch);
    });
}

TEST(MixTargets, ClipsWithoutWeightKeepADistribution) {
    const HostArray draws = draws_for({.mixup_probability = 1, .mixup_alpha = 1}, {2, 50, 17}, {.seed = 1, .step = 1});
    const HostArray target = with_values({2, 2}, {1, 0, 0, 1}), weight = with_values({2}, {0, 0});
    on_each_device(mix_of(target, weight, draws), [&](const MixTargets<HostArray>& after) {
        EXPECT_EQ(after.mixed_weight[0], 0);
        EXPECT_EQ(after.mixed_target[0], static_cast<double>(draws_in(draws)[0].mix_share));
        EXPECT_EQ(after.mixed_target[0] + after.mixed_target[1], 1);
    });
}

TEST(MixTargets, SameBits) {
    expect_same_bits(
        mix_of(uniform_f32({40, 10}, 1, 0, 1), uniform_f32({40}, 2, 0, 1), draws_for(often, {40, 50, 8}, {})));
}

TEST(MixTargets, WrongOperandsAreRefused) {
    const HostArray target = uniform_f32({2, 4}, 1), weight = uniform_f32({2}, 2);
    const MixTargets<HostArray> good = mix_of(target, weight, draws_for(often, {2, 8, 4}, {}));
    const auto refused_with = [&](auto change) {
        MixTargets<HostArray> op = good;
        change(op);
        expect_refused(op);
    };
    refused_with(
        [](auto& op) { op.target = at_place(op.target, "here"), op.mixed_target = at_place(op.mixed_target, "here"); });
    refused_with(
        [](auto& op) { op.weight = at_place(op.weight, "here"), op.mixed_weight = at_place(op.mixed_weight, "here"); });
    refused_with([](auto& op) { op.weight = op.target; });
    refused_with([](auto& op) { op.draws = op.target; });
    refused_with([](auto& op) { op.mixed_target = empty({4, 2}); });
}

} // namespace
} // namespace scene::test
