#include "model/program_builder.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace scene {
namespace {

class ProgramBuilderTest : public testing::Test {
protected:
    std::unique_ptr<Device> device = make_cpu_device(1);
    Variables variables;
    ProgramBuilder builder{"test", device->planner(), variables, Mode::Training, 1};

    void add(std::vector<TensorId> writes, std::vector<TensorId> reads) {
        Op op;
        op.name = "op";
        op.writes = std::move(writes);
        op.reads = std::move(reads);
        builder.append(std::move(op));
    }
};

TEST_F(ProgramBuilderTest, ReadBeforeWriteIsRefused) {
    const TensorId a = builder.transient("a", {4});
    add({}, {a});
    EXPECT_THROW(builder.finish(), std::logic_error);
}

TEST_F(ProgramBuilderTest, ReadAfterAnInPlaceOpTookTheMemoryIsRefused) {
    const TensorId a = builder.transient("a", {4});
    const TensorId b = builder.alias(a, "b", {2, 2});
    add({a}, {});
    add({b}, {a});
    add({}, {b});
    add({}, {a});
    EXPECT_THROW(builder.finish(), std::logic_error);
}

TEST_F(ProgramBuilderTest, ViewsOfOneBufferMayBeReadTogether) {
    const TensorId a = builder.transient("a", {4});
    const TensorId b = builder.alias(a, "b", {2, 2});
    add({a}, {});
    add({}, {b});
    add({}, {a});
    EXPECT_NO_THROW(builder.finish());
}

TEST_F(ProgramBuilderTest, TransientsDoNotCrossFromSetupIntoTheStep) {
    const TensorId a = builder.transient("a", {4});
    builder.phase(Phase::Setup);
    add({a}, {});
    builder.phase(Phase::Forward);
    add({}, {a});
    EXPECT_THROW(builder.finish(), std::logic_error);
}

TEST_F(ProgramBuilderTest, AnActivationHasOneGradient) {
    const TensorId a = builder.transient("a", {4}), da = builder.transient("da", {4});
    builder.set_gradient(a, da);
    EXPECT_THROW(builder.set_gradient(a, da), std::logic_error);
    EXPECT_THROW(builder.gradient(da), std::logic_error);
}

TEST_F(ProgramBuilderTest, BackwardIsBuiltInReverse) {
    std::string order;
    builder.on_backward([&] { order += "first"; });
    builder.on_backward([&] { order += "second "; });
    EXPECT_THROW(builder.finish(), std::logic_error);
    builder.build_backward();
    EXPECT_EQ(order, "second first");
}

TEST(Variables, SegmentsFollowEachOtherAndMirrorTheParameters) {
    Variables variables;
    variables.declare(Segment::Parameters, "w", DType::F32, {3, 5});
    variables.declare(Segment::Parameters, "b", DType::F32, {3});
    EXPECT_EQ(variables.bytes(Segment::Gradients), 0u);
    const Variable& gradient = variables.declare(Segment::Gradients, "b", DType::F32, {3});
    EXPECT_EQ(gradient.offset, variables.find(Segment::Parameters, "b")->offset);
    EXPECT_EQ(variables.bytes(Segment::Gradients), variables.bytes(Segment::Parameters));
    EXPECT_EQ(variables.base(Segment::Gradients), variables.bytes(Segment::Parameters));
    EXPECT_EQ(variables.parameter_count(), 18);
    EXPECT_THROW(variables.declare(Segment::Parameters, "w", DType::F32, {5, 3}), std::logic_error);
    EXPECT_THROW(variables.declare(Segment::Gradients, "unknown", DType::F32, {3}), std::logic_error);
}

TEST_F(ProgramBuilderTest, AnOpIsWhatItsRecordSays) {
    const TensorId x = builder.external("x", {6, 4}, DType::F32), w = builder.external("w", {3, 4}, DType::F32);
    const TensorId y = builder.transient("y", {6, 3}), dw = builder.transient("dw", {3, 4});
    const TensorId dx = builder.transient("dx", {6, 4});
    builder.add("layer.forward", LinearForward<TensorId>{.y = y, .x = x, .w = w});
    builder.phase(Phase::Backward);
    builder.add("layer.weight_grad", LinearWeightGrad<TensorId>{.dw = dw, .dpre = y, .x = x});
    builder.add("layer.data_grad", LinearDataGrad<TensorId>{.dx = dx, .dpre = y, .w = w});
    builder.add("layer.data_grad_onto", LinearDataGrad<TensorId>{.dx = dx, .dpre = y, .w = w, .addend = dx});
    const Program program = builder.finish();
    const Op &forward = program.ops[0], &onto = program.ops[3];
    EXPECT_EQ(forward.name, "layer.forward");
    EXPECT_EQ(forward.kind, "linear_forward");
    EXPECT_EQ(forward.phase, Phase::Forward);
    EXPECT_EQ(forward.writes, std::vector{y});
    EXPECT_EQ(forward.reads, (std::vector{x, w})) << "without the absent bias";
    EXPECT_EQ(forward.flops, 2 * 6 * 4 * 3);
    EXPECT_EQ(forward.bytes, 4 * (6 * 3 + 6 * 4 + 3 * 4));
    EXPECT_EQ(program.ops[1].writes, std::vector{dw}) << "without the absent dbias";
    EXPECT_EQ(onto.writes, std::vector{dx});
    EXPECT_EQ(onto.reads, (std::vector{y, w, dx}));
    EXPECT_EQ(onto.phase, Phase::Backward);
    EXPECT_EQ(program.flops(Phase::Backward), 3 * 2 * 6 * 4 * 3);
    EXPECT_EQ(program.bytes_moved(), forward.bytes + program.ops[1].bytes + program.ops[2].bytes + onto.bytes);
}

TEST_F(ProgramBuilderTest, WhatIsUpdatedIsReadAndWritten) {
    const TensorId control = builder.control();
    builder.add("advance", Advance<TensorId>{.control = control, .batch = 1, .steps = 1});
    const Program program = builder.finish();
    EXPECT_EQ(program.ops[0].writes, std::vector{control});
    EXPECT_EQ(program.ops[0].reads, std::vector{control});
    EXPECT_EQ(program.ops[0].bytes, 2.0 * sizeof(StepControl));
}

TEST_F(ProgramBuilderTest, OfTheStoreNoMoreIsReadThanGathered) {
    const TensorId rows = builder.transient("rows", {2, 5});
    builder.add("gather", GatherRows<TensorId>{.rows = rows,
                                               .table = builder.external("features", {100, 5}, DType::F32),
                                               .order = builder.external("order", {102}, DType::I32),
                                               .control = builder.control()});
    EXPECT_EQ(builder.finish().ops[0].bytes, 2.0 * 4 * 2 * 5 + 2 * 4 + sizeof(StepControl));
}

TEST_F(ProgramBuilderTest, SetupCostsTheStepNothing) {
    const TensorId x = builder.transient("x", {10});
    builder.phase(Phase::Setup);
    builder.add("zero", FillZero<TensorId>{.x = x});
    const Program program = builder.finish();
    EXPECT_EQ(program.ops[0].bytes, 40);
    EXPECT_EQ(program.bytes_moved(), 0);
}

TEST_F(ProgramBuilderTest, ScratchIsPlannedAndIsARole) {
    const Shape shape{64, 8};
    const TensorId dx = builder.transient("dx", shape), dbranch = builder.transient("dbranch", shape);
    const auto in = [&](const char* name, const Shape& extents) { return builder.external(name, extents, DType::F32); };
    builder.add("norm.backward", LayerNormBackward<TensorId>{.dx = dx,
                                                             .dbranch = dbranch,
                                                             .dgamma = builder.transient("dgamma", {8}),
                                                             .dbeta = builder.transient("dbeta", {8}),
                                                             .dy = in("dy", shape),
                                                             .moments = in("moments", {64, 2}),
                                                             .x = in("x", shape),
                                                             .branch = in("branch", shape),
                                                             .gamma = in("gamma", {8})});
    const Program program = builder.finish();
    const Op& op = program.ops[0];
    ASSERT_TRUE(op.scratch);
    EXPECT_GT(program.info(op.scratch).bytes(), 0u);
    EXPECT_EQ(std::count(op.writes.begin(), op.writes.end(), op.scratch), 0);
    EXPECT_GE(program.transient_bytes, program.info(op.scratch).bytes() + 2 * program.info(dx).bytes());
}

TEST_F(ProgramBuilderTest, ARequiredOperandThatIsAbsentIsRefused) {
    EXPECT_THROW(builder.add("norm", BandMoments<TensorId>{.mean = TensorId(),
                                                           .deviation = builder.transient("deviation", {1, 2}),
                                                           .clip_mean = builder.transient("clip_mean", {1}),
                                                           .x = builder.external("x", {1, 3, 2}, DType::F32)}),
                 std::logic_error);
}

/// A record with a missing required operand does not compile.
template <class T> constexpr bool compiles_whole = requires(T t) {
    BandMoments<T>{.mean = t, .deviation = t, .clip_mean = t, .x = t};
};
template <class T> constexpr bool compiles_without_x = requires(T t) {
    BandMoments<T>{.mean = t, .deviation = t, .clip_mean = t};
};
template <class T> constexpr bool compiles_without_mean = requires(T t) {
    BandMoments<T>{.deviation = t, .clip_mean = t, .x = t};
};
static_assert(compiles_whole<TensorId> && compiles_whole<Tensor>);
static_assert(!compiles_without_x<TensorId> && !compiles_without_x<Tensor>);
static_assert(!compiles_without_mean<TensorId> && !compiles_without_mean<Tensor>);

/// The members of every record can be counted, and no record has too many.
template <template <class> class... Record> constexpr bool all_counted(OpList<Record...>) {
    return ((fields::count<Record<Tensor>>() > 0 && fields::count<Record<Tensor>>() <= most_fields) && ...);
}
static_assert(all_counted(AllOps()));
static_assert(fields::count<LayerNormBackward<Tensor>>() == 12);

} // namespace
} // namespace scene
