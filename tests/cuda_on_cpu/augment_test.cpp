// Augmentation: the draws must be the CPU's to the bit, the values near its values.

#include <vector>

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

const Augmentation everything{.roll = 12,
                              .gain = 5,
                              .style_probability = 0.8f,
                              .style_alpha = 0.3f,
                              .frequency_masks = 2,
                              .frequency_mask = 3,
                              .time_masks = 4,
                              .time_mask = 5,
                              .mixup_probability = 0.6f,
                              .mixup_alpha = 0.4f};

Guarded draws_of(const Augmentation& settings, const Guarded& state, const Shape& features) {
    const Guarded draws({features[0], sizeof(ClipDraw)}, DType::U8);
    cpu().draw_augmentation(draws, state, AugmentationSampler(settings), features[1], features[2]);
    return draws;
}

TEST(CudaAugmentation, DrawsAreTheSameBits) {
    const std::vector<Augmentation> cases{everything,
                                          {},
                                          {.roll = 1000000, .gain = 0.1f},
                                          {.style_probability = 1, .style_alpha = 2},
                                          {.mixup_probability = 1, .mixup_alpha = 0.1f}};
    for (const Augmentation& settings : cases) {
        for (const int64_t batch : {1, 2, 300}) {
            for (uint32_t step = 0; step < 5; ++step) {
                emulator::shuffle(step + 1);
                const Guarded state = control_with({.seed = 0xFEDCBA9876543210u, .step = step * 1000003});
                const OnDevice draws({batch, sizeof(ClipDraw)}, DType::U8), d_state(state);
                cuda::draw_augmentation(draws, d_state, AugmentationSampler(settings), 500, 64, nullptr);
                EXPECT_TRUE(draws.host().same_bytes(draws_of(settings, state, {batch, 500, 64})));
            }
        }
    }
}

TEST(CudaAugmentation, MomentsAndFeaturesAsTheCpu) {
    for (const Shape& shape : {Shape{3, 37, 7}, Shape{2, 9, 64}, Shape{1, 20, 33}, Shape{5, 70, 1}}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            const int64_t batch = shape[0], bands = shape[2];
            const Guarded x = uniform(shape, seed, -80, 0), mean({batch, bands}), deviation({batch, bands});
            const Guarded clip_mean({batch}), y(shape);
            for (int64_t t = 0; t < shape[1]; ++t) x[t * bands] = -80; // a silent band: its deviation is the floor
            const Guarded draws =
                draws_of(everything, control_with({.seed = 5, .step = static_cast<uint32_t>(seed)}), shape);
            cpu().band_moments(mean, deviation, clip_mean, x);
            cpu().augment_features(y, x, draws, mean, deviation, clip_mean);

            const OnDevice d_mean(Shape{batch, bands}), d_deviation(Shape{batch, bands}), d_clip_mean(Shape{batch});
            const OnDevice d_y(shape), d_x(x), d_draws(draws);
            cuda::band_moments(d_mean, d_deviation, d_clip_mean, d_x, nullptr);
            const Tolerance sum = rounding(DType::F32, static_cast<double>(shape[1]));
            EXPECT_TRUE(close(d_mean, mean, sum, "mean " + shape.text()));
            EXPECT_TRUE(close(d_deviation, deviation, sum, "deviation " + shape.text()));
            EXPECT_TRUE(close(d_clip_mean, clip_mean, sum, "mean of the clip " + shape.text()));
            cuda::augment_features(d_y, d_x, d_draws, d_mean, d_deviation, d_clip_mean, nullptr);
            EXPECT_TRUE(close(d_y, y, sum, "features " + shape.text()));
        }
    }
}

TEST(CudaAugmentation, WithoutMomentsAsTheCpu) {
    const Augmentation settings{.roll = 9, .gain = 5, .mixup_probability = 0.5f, .mixup_alpha = 1};
    for (const uint64_t seed : {1, 2, 3}) {
        emulator::shuffle(seed);
        const Shape shape{4, 21, 5};
        const Guarded x = uniform(shape, seed, -80, 0), y(shape), draws = draws_of(settings, control_with({}), shape);
        cpu().augment_features(y, x, draws, {}, {}, {});
        const OnDevice d_y(shape), d_x(x), d_draws(draws);
        cuda::augment_features(d_y, d_x, d_draws, {}, {}, {}, nullptr);
        EXPECT_TRUE(close(d_y, y, rounding(DType::F32, 2), "features"));
    }
}

TEST(CudaAugmentation, TargetsAsTheCpu) {
    for (const int64_t batch : {1, 3, 270}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            const Guarded draws = draws_of(everything, control_with({.seed = seed}), {batch, 50, 8});
            const Guarded target = uniform({batch, 10}, seed, 0, 1), weight = integers({batch}, seed, 0, 3);
            const Guarded mixed_target({batch, 10}), mixed_weight({batch});
            cpu().mix_targets(mixed_target, mixed_weight, target, weight, draws);
            const OnDevice d_target(Shape{batch, 10}), d_weight(Shape{batch}), from(target), weights(weight);
            const OnDevice d_draws(draws);
            cuda::mix_targets(d_target, d_weight, from, weights, d_draws, nullptr);
            EXPECT_TRUE(close(d_target, mixed_target, rounding(DType::F32, 2), "target"));
            EXPECT_TRUE(close(d_weight, mixed_weight, rounding(DType::F32, 2), "weight"));
        }
    }
}

TEST(CudaAugmentation, WrongOperandsAreRefused) {
    const OnDevice x(Shape{2, 8, 4}), y(Shape{2, 8, 4}), mean(Shape{2, 4}), draws({2, sizeof(ClipDraw)}, DType::U8);
    EXPECT_THROW(cuda::augment_features(x, x, draws, {}, {}, {}, nullptr), std::logic_error);
    EXPECT_THROW(cuda::augment_features(y, x, draws, mean, {}, {}, nullptr), std::logic_error);
    EXPECT_THROW(cuda::augment_features(y, x, mean, {}, {}, {}, nullptr), std::logic_error);
    EXPECT_THROW(cuda::mix_targets(mean, mean, mean, mean, draws, nullptr), std::logic_error);
}

} // namespace
} // namespace scene::test
