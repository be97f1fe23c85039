// What surrounds the network in a step: batches, metrics, weights of hard samples, the optimiser, conversions.

#include <limits>

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaBatch, GatherFillsEmptyPlaces) {
    const Guarded order = filled_int({6}, {5, 0, -1, 3, 3, -1}), state = control_with({.cursor = 1});
    for (const int64_t size : {1, 7, 24}) {
        const Guarded table = uniform({6, size}, 1);
        for_each_setting([&](DType dtype) {
            const OnDevice rows({4, size}, dtype), d_table(table), d_order(order), d_state(state);
            cuda::gather_rows(rows, d_table, d_order, d_state, nullptr);
            const Guarded got = rows.host(), stored = stored_as(dtype, table);
            for (int64_t n = 0; n < 4; ++n) {
                const int32_t from = order.as<int32_t>()[static_cast<size_t>(n + 1)];
                for (int64_t i = 0; i < size; ++i)
                    EXPECT_EQ(got[n * size + i], from < 0 ? 0.0f : stored[from * size + i]) << n << ", " << i;
            }
        });
    }
}

TEST(CudaBatch, GatherOfIntegers) {
    const OnDevice table(filled_int({3, 2}, {1, -2, 0x7F800001, 4, 5, -1})), order(filled_int({3}, {2, -1, 1}));
    const OnDevice rows(Shape{3, 2}, DType::I32), state(control_with({}));
    cuda::gather_rows(rows, table, order, state, nullptr);
    const Guarded got = rows.host();
    EXPECT_EQ(std::vector<int32_t>(got.as<int32_t>().begin(), got.as<int32_t>().end()),
              (std::vector<int32_t>{5, -1, -1, -1, 0x7F800001, 4}));
}

TEST(CudaBatch, ScatterSkipsEmptyPlaces) {
    const Guarded order = filled_int({6}, {0, 5, -1, 3, 1, 2}), state = control_with({.cursor = 1});
    for (const int64_t size : {1, 10, 16}) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            const Guarded before = uniform({6, size}, 1), rows = uniform({4, size}, 2);
            const OnDevice table(before), d_rows(rows), d_order(order), d_state(state);
            cuda::scatter_rows(table, d_rows, d_order, d_state, nullptr);
            Guarded expected(before);
            for (int64_t n = 0; n < 4; ++n) {
                const int32_t to = order.as<int32_t>()[static_cast<size_t>(n + 1)];
                for (int64_t i = 0; to >= 0 && i < size; ++i) expected[to * size + i] = rows[n * size + i];
            }
            EXPECT_TRUE(table.host().same_bytes(expected));
        }
    }
}

TEST(CudaBatch, AdvanceMovesCursorAndStep) {
    const OnDevice state(control_with({.seed = 3, .step = 4, .cursor = 5}));
    cuda::advance(state, 64, 1, nullptr);
    const StepControl after = control_in(state.host());
    EXPECT_EQ(after.seed, 3u);
    EXPECT_EQ(after.step, 5u);
    EXPECT_EQ(after.cursor, 69u);
}

TEST(CudaBatch, AdvanceDoesNotCountASkippedStep) {
    const Guarded host = control_with({.step = 4, .cursor = 5, .nonfinite = 1});
    const OnDevice state(host);
    cuda::advance(state, 64, 1, nullptr);
    cpu().advance(host, 64, 1);
    EXPECT_TRUE(state.host().same_bytes(host));
    EXPECT_EQ(control_in(host).step, 4u);
    EXPECT_EQ(control_in(host).cursor, 69u);
}

TEST(CudaBatch, FillZero) {
    const OnDevice x(uniform({3, 5}, 1));
    cuda::fill_zero(x, nullptr);
    const Guarded zeros = x.host();
    for (const float value : zeros.floats()) EXPECT_EQ(value, 0.0f);
}

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

TEST(CudaConvert, BetweenFloatsAndHalves) {
    const Guarded x = uniform({5, 13}, 1);
    const OnDevice floats(x), halves({5, 13}, DType::F16), back({5, 13});
    cuda::convert(halves, floats, nullptr);
    cuda::convert(back, halves, nullptr);
    EXPECT_TRUE(back.host().same_bytes(stored_as(DType::F16, x)));
    const Guarded cpu_halves({5, 13}, DType::F16), cpu_back({5, 13});
    cpu().convert(cpu_halves, x);
    cpu().convert(cpu_back, cpu_halves);
    EXPECT_TRUE(cpu_back.same_bytes(back.host()));
}

} // namespace
} // namespace scene::test
