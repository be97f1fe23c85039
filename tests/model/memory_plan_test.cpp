#include "model/memory_plan.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace scene {
namespace {

TensorId add_tensor(Program& program, int64_t bytes) {
    const TensorId id{static_cast<int32_t>(program.tensors.size())};
    program.tensors.push_back(
        {"t" + std::to_string(id.value), DType::U8, {bytes}, Storage::Transient, id, Segment::State, 0});
    return id;
}

void add_op(Program& program, std::vector<TensorId> writes, std::vector<TensorId> reads) {
    program.ops.push_back({"op", "op", Phase::Forward, std::move(writes), std::move(reads), 0, nullptr});
}

/// First and last op that touches the tensor.
std::pair<size_t, size_t> life(const Program& program, TensorId id) {
    size_t first = program.ops.size(), last = 0;
    for (size_t step = 0; step < program.ops.size(); ++step)
        for (const auto* ids : {&program.ops[step].writes, &program.ops[step].reads})
            for (TensorId used : *ids)
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

} // namespace
} // namespace scene
