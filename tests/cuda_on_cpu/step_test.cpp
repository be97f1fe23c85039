// What surrounds the network in a step: metrics, weights of hard samples, the optimiser.

#include <limits>

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

Guarded one_hot(const std::vector<int>& labels, int64_t classes) {
    Guarded target = filled({static_cast<int64_t>(labels.size()), classes},
                            std::vector<float>(labels.size() * static_cast<size_t>(classes), 0.0f));
    for (size_t n = 0; n < labels.size(); ++n)
        if (labels[n] >= 0) target[static_cast<int64_t>(n) * classes + labels[n]] = 1;
    return target;
}

TEST(CudaMetrics, LossAndConfusionAddUp) {
    for (const int64_t batch : {1, 13, 300}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            std::vector<int> labels;
            for (int64_t n = 0; n < batch; ++n) labels.push_back(static_cast<int>(n * 7 % 11) - 1); // -1: unlabelled
            const Guarded target = one_hot(labels, 10), probabilities = integers({batch, 10}, 1, 0, 3); // equal maxima
            const Guarded loss = uniform({batch}, 2, 0, 5);
            const Guarded loss_sum({1}, DType::F64), confusion = filled_int({10, 10}, std::vector<int32_t>(100, 2));
            loss_sum.as<double>()[0] = 0.5;
            const OnDevice d_sum(loss_sum), d_confusion(confusion), d_loss(loss), d_p(probabilities), d_target(target);
            cpu().accumulate_metrics(loss_sum, confusion, loss, probabilities, target);
            cuda::accumulate_metrics(d_sum, d_confusion, d_loss, d_p, d_target, nullptr);
            EXPECT_NEAR(d_sum.host().as<double>()[0], loss_sum.as<double>()[0], 1e-12 * static_cast<double>(batch));
            EXPECT_TRUE(d_confusion.host().same_bytes(confusion));
        }
    }
}

/// A clip counts for the first of its largest targets, however small that is, unless it has none.
TEST(CudaMetrics, SoftTargetsCountWhateverTheirHeight) {
    const Guarded loss_sum({1}, DType::F64);
    loss_sum.as<double>()[0] = 0;
    const Guarded target = filled({7, 3}, {0.4f, 0.35f, 0.25f, 0.25f, 0.25f, 0.25f, 0, 0.5f, 0.5f, 0.2f, 0.2f,
                                           0.6f, 0,     0,     0,     1e-6f, 0,     0, 0,    0,    0.05f});
    const Guarded probabilities = filled({7, 3}, {0, 0, 1, 0, 0.5f, 0.5f, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0});
    const OnDevice d_sum(loss_sum), d_confusion(filled_int({3, 3}, std::vector<int32_t>(9, 0)));
    const OnDevice d_loss(uniform({7}, 1)), d_p(probabilities), d_target(target);
    cuda::accumulate_metrics(d_sum, d_confusion, d_loss, d_p, d_target, nullptr);
    EXPECT_TRUE(d_confusion.host().same_bytes(filled_int({3, 3}, {0, 1, 2, 0, 0, 1, 1, 1, 0})));
}

TEST(CudaMetrics, HardSampleWeights) {
    for (const Confidence measure : {Confidence::MaxSoftmax, Confidence::Entropy}) {
        for (const int64_t rows : {1, 50, 2100}) {
            for (const uint64_t seed : {1, 2, 3}) {
                emulator::shuffle(seed);
                const Guarded logits = uniform({rows, 10}, 3, -4, 4), probabilities({rows, 10}), weight({rows});
                const Guarded member({rows}, DType::I32);
                for (int64_t r = 0; r < rows; ++r) member.as<int32_t>()[static_cast<size_t>(r)] = r % 3 != 1;
                cpu().softmax(probabilities, logits);
                cpu().hard_sample_weights(weight, probabilities, member, measure);
                const OnDevice d_weight(Shape{rows}), d_p(probabilities), d_member(member);
                cuda::hard_sample_weights(d_weight, d_p, d_member, measure, nullptr);
                EXPECT_TRUE(close(d_weight, weight, rounding(DType::F32), "weight"));
            }
        }
    }
}

/// Undecided, certain and tied clips; any number but 0 makes a member; without members all weights are 1.
TEST(CudaMetrics, HardSampleWeightsOfEveryKindOfClip) {
    const Guarded probabilities =
        filled({5, 4}, {0.25f, 0.25f, 0.25f, 0.25f, 0, 1, 0, 0, 0.5f, 0.5f, 0, 0, 0.4f, 0.3f, 0.2f, 0.1f, 0, 0, 0, 1});
    for (const Confidence measure : {Confidence::MaxSoftmax, Confidence::Entropy}) {
        for (const std::vector<int32_t>& members :
             {std::vector<int32_t>{1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}, {2, 0, 3, 0, 1}, {0, 0, 0, 0, 7}}) {
            const Guarded weight({5}), member = filled_int({5}, members);
            cpu().hard_sample_weights(weight, probabilities, member, measure);
            const OnDevice d_weight(Shape{5}), d_p(probabilities), d_member(member);
            cuda::hard_sample_weights(d_weight, d_p, d_member, measure, nullptr);
            EXPECT_TRUE(close(d_weight, weight, rounding(DType::F32), "weight"));
            for (int64_t n = 0; n < 5; ++n) {
                if (members[static_cast<size_t>(n)] == 0) { EXPECT_EQ(d_weight.host()[n], 1); }
            }
        }
    }
}

struct AdamCase {
    explicit AdamCase(int64_t count)
        : w(uniform({count}, 1)), m(uniform({count}, 2)), v(uniform({count}, 3, 0, 1)), g(uniform({count}, 4, -64, 64)),
          half({count}, DType::F16), state(control_with({.step = 6, .learning_rate = 1e-3f, .loss_scale = 64})) {}
    Guarded w, m, v, g, half, state;
};

TEST(CudaAdam, UpdatesAsTheCpu) {
    for (const int64_t count : {1, 1003, 4096}) {
        for (const AdamSettings& settings :
             {AdamSettings{}, AdamSettings{.beta1 = 0.7f, .beta2 = 0.95f, .epsilon = 0.1f, .weight_decay = 0.01f}}) {
            for (const uint64_t seed : {1, 2, 3}) {
                emulator::shuffle(seed);
                const AdamCase c(count);
                const OnDevice w(c.w), m(c.m), v(c.v), g(c.g), half(c.half), state(c.state);
                const OnDevice scratch = scratch_on_device(cuda::adam_scratch_bytes());
                cpu().adam(c.w, c.m, c.v, c.half, c.g, c.state, settings);
                cuda::adam(w, m, v, half, g, state, settings, scratch, nullptr);
                EXPECT_TRUE(close(w, c.w, rounding(DType::F32), "parameters"));
                EXPECT_TRUE(close(m, c.m, rounding(DType::F32), "first moment"));
                EXPECT_TRUE(close(v, c.v, rounding(DType::F32), "second moment"));
                EXPECT_TRUE(close(half, w.host(), rounding(DType::F16), "half copy"));
                EXPECT_EQ(control_in(state.host()).nonfinite, 0u);
                const OnDevice other(AdamCase(count).w);
                const OnDevice m2(AdamCase(count).m), v2(AdamCase(count).v);
                cuda::adam(other, m2, v2, {}, g, state, settings, scratch, nullptr);
                EXPECT_TRUE(other.host().same_bytes(w.host())) << "without a half copy";
            }
        }
    }
}

/// The largest count is more than the blocks that search for such gradients see at once.
TEST(CudaAdam, ANonfiniteGradientChangesNothingButTheFlag) {
    for (const int64_t count : {1003, 4096, 70001}) {
        for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity()}) {
            for (const int64_t at : {int64_t{0}, count - 1, count / 2}) {
                emulator::shuffle(static_cast<uint64_t>(at));
                AdamCase c(count);
                c.g[at] = bad;
                const OnDevice w(c.w), m(c.m), v(c.v), g(c.g), half(c.half), state(c.state);
                const OnDevice scratch = scratch_on_device(cuda::adam_scratch_bytes());
                cuda::adam(w, m, v, half, g, state, {}, scratch, nullptr);
                EXPECT_TRUE(w.host().same_bytes(c.w));
                EXPECT_TRUE(m.host().same_bytes(c.m));
                EXPECT_TRUE(v.host().same_bytes(c.v));
                EXPECT_EQ(control_in(state.host()).nonfinite, 1u);
                EXPECT_EQ(control_in(state.host()).step, 6u);
            }
        }
    }
}

TEST(CudaConvert, FoldConvolutionWeights) {
    const Shape shape{6, 3, 3, 5};
    const Guarded w = uniform(shape, 1), scale = uniform({6}, 2, -2, 2), folded(shape);
    cpu().fold_conv_weights(folded, w, scale);
    for_each_setting([&](DType dtype) {
        const OnDevice d_folded(shape, dtype), d_w(w), d_scale(scale);
        cuda::fold_conv_weights(d_folded, d_w, d_scale, nullptr);
        EXPECT_TRUE(close(d_folded, folded, rounding(dtype), "folded"));
    });
}

} // namespace
} // namespace scene::test
