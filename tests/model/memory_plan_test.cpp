#include "model/memory_plan.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/small_step.h"

namespace scene {
namespace {

TensorId add_tensor(Program& program, int64_t bytes) {
    const TensorId id{static_cast<int32_t>(program.tensors.size())};
    program.tensors.push_back(
        {"t" + std::to_string(id.value), DType::U8, {bytes}, Storage::Transient, id, Segment::State, 0});
    return id;
}

void add_op(Program& program, std::vector<TensorId> writes, std::vector<TensorId> reads) {
    Op op;
    op.writes = std::move(writes);
    op.reads = std::move(reads);
    program.ops.push_back(std::move(op));
}

std::vector<TensorId> used_by(const Op& op) {
    std::vector<TensorId> ids = op.writes;
    ids.insert(ids.end(), op.reads.begin(), op.reads.end());
    if (op.scratch) ids.push_back(op.scratch);
    return ids;
}

/// The first and the last op that touch the tensor.
std::pair<size_t, size_t> life(const Program& program, TensorId id) {
    size_t first = program.ops.size(), last = 0;
    for (size_t step = 0; step < program.ops.size(); ++step)
        for (TensorId used : used_by(program.ops[step]))
            if (used == id) first = std::min(first, step), last = std::max(last, step);
    return {first, last};
}

void expect_no_overlap(const Program& program) {
    for (size_t a = 0; a < program.tensors.size(); ++a) {
        for (size_t b = a + 1; b < program.tensors.size(); ++b) {
            const auto [a_first, a_last] = life(program, {static_cast<int32_t>(a)});
            const auto [b_first, b_last] = life(program, {static_cast<int32_t>(b)});
            const bool together = a_first <= b_last && b_first <= a_last;
            const TensorInfo &x = program.tensors[a], &y = program.tensors[b];
            const bool apart = x.offset + x.bytes() <= y.offset || y.offset + y.bytes() <= x.offset;
            EXPECT_TRUE(!together || apart) << x.name << " and " << y.name << " share memory while both are alive";
        }
    }
    for (const TensorInfo& info : program.tensors) EXPECT_LE(info.offset + info.bytes(), program.transient_bytes);
}

TEST(MemoryPlan, ChainReusesTheFirstBuffer) {
    Program program;
    const TensorId a = add_tensor(program, 1024), b = add_tensor(program, 1024), c = add_tensor(program, 1024);
    add_op(program, {a}, {});
    add_op(program, {b}, {a});
    add_op(program, {c}, {b});
    plan_memory(program);
    EXPECT_EQ(program.lower_bound, 2048u);
    EXPECT_EQ(program.transient_bytes, 2048u);
    EXPECT_EQ(program.info(a).offset, program.info(c).offset);
    expect_no_overlap(program);
}

TEST(MemoryPlan, AliasExtendsTheLifeOfItsBuffer) {
    Program program;
    const TensorId a = add_tensor(program, 512), other = add_tensor(program, 512);
    TensorInfo in_place = program.info(a);
    in_place.name = "a in place";
    program.tensors.push_back(in_place);
    const TensorId alias{2};
    add_op(program, {a}, {});
    add_op(program, {other}, {});
    add_op(program, {alias}, {a});
    add_op(program, {}, {alias, other});
    plan_memory(program);
    EXPECT_EQ(program.info(a).offset, program.info(alias).offset);
    EXPECT_NE(program.info(a).offset, program.info(other).offset);
}

TEST(MemoryPlan, RandomProgramsNeverOverlapAndStayNearTheBound) {
    for (uint32_t seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        Program program;
        std::vector<TensorId> tensors;
        for (int step = 0; step < 60; ++step) {
            std::vector<TensorId> reads;
            for (int pick = 0; pick < 2 && !tensors.empty(); ++pick)
                reads.push_back(tensors[tensors.size() - 1 - random() % std::min<size_t>(tensors.size(), 8)]);
            const TensorId out = add_tensor(program, static_cast<int64_t>(1 + random() % 100000));
            add_op(program, {out}, reads);
            tensors.push_back(out);
        }
        plan_memory(program);
        expect_no_overlap(program);
        EXPECT_GE(program.transient_bytes, program.lower_bound);
        EXPECT_LE(static_cast<double>(program.transient_bytes), 1.35 * static_cast<double>(program.lower_bound))
            << "seed " << seed;
    }
}

/// Lifetime and size of a buffer over all its aliases.
struct Use {
    size_t first = SIZE_MAX, last = 0, bytes = 0, offset = 0;
};

std::map<int32_t, Use> uses_of(const Program& program) {
    std::map<int32_t, Use> uses;
    for (size_t step = 0; step < program.ops.size(); ++step)
        for (const TensorId id : used_by(program.ops[step])) {
            const TensorInfo& info = program.info(id);
            if (info.storage != Storage::Transient) continue;
            Use& use = uses[info.buffer.value];
            use.first = std::min(use.first, step);
            use.last = std::max(use.last, step);
            use.bytes = std::max(use.bytes, (info.bytes() + 255) / 256 * 256);
            use.offset = info.offset;
            EXPECT_EQ(info.offset, program.info(info.buffer).offset) << info.name << " is elsewhere";
        }
    return uses;
}

TEST(MemoryPlan, StepsOfNetworksNeverOverlap) {
    const auto device = make_cpu_device(1);
    for (const Network* network : networks()) {
        Variables variables;
        StepConfig config = test::small_step(network, true, true);
        config.augmentation = {.time_masks = 1, .time_mask = 3, .mixup_probability = 1, .mixup_alpha = 1};
        for (const Program& program : {build_training_step(device->planner(), variables, config, 3),
                                       build_inference_step(device->planner(), variables, config, 3)}) {
            const std::map<int32_t, Use> uses = uses_of(program);
            std::vector<size_t> live(program.ops.size());
            for (const auto& [a, one] : uses) {
                EXPECT_EQ(one.offset % 256, 0u);
                EXPECT_LE(one.offset + one.bytes, program.transient_bytes);
                for (size_t step = one.first; step <= one.last; ++step) live[step] += one.bytes;
                for (const auto& [b, other] : uses) {
                    if (b <= a || one.last < other.first || other.last < one.first) continue;
                    EXPECT_TRUE(one.offset + one.bytes <= other.offset || other.offset + other.bytes <= one.offset)
                        << program.info({a}).name << " and " << program.info({b}).name << " in " << program.name;
                }
            }
            EXPECT_EQ(program.lower_bound, *std::max_element(live.begin(), live.end()));
            EXPECT_GE(program.transient_bytes, program.lower_bound);
        }
    }
}

/// Memory is reused after a buffer's last use, and not before.
TEST(MemoryPlan, ABufferIsFreeAfterItsLastReaderAndNotBefore) {
    Program program;
    const TensorId a = add_tensor(program, 256), b = add_tensor(program, 256), c = add_tensor(program, 256);
    add_op(program, {a}, {});
    add_op(program, {b}, {});
    add_op(program, {c}, {a}); // a and c are live at the same time here
    add_op(program, {}, {b, c});
    plan_memory(program);
    EXPECT_EQ(program.transient_bytes, 768u);
    expect_no_overlap(program);
}

TEST(MemoryPlan, TheLastOpAndTheLargestNameOfABufferCount) {
    Program program;
    const TensorId a = add_tensor(program, 1024), b = add_tensor(program, 512);
    TensorInfo part = program.info(a);
    part.shape = {256};
    program.tensors.push_back(part);
    add_op(program, {a}, {});
    add_op(program, {b}, {TensorId{2}});
    plan_memory(program);
    EXPECT_EQ(program.lower_bound, 1536u);
    EXPECT_EQ(program.transient_bytes, 1536u);
    expect_no_overlap(program);
}

} // namespace
} // namespace scene
