#include "model/program_builder.h"

#include <gtest/gtest.h>

namespace scene {
namespace {

class EmitterTest : public testing::Test {
protected:
    std::unique_ptr<Device> backend = make_cpu_device(1);
    Variables variables;
    Emitter emitter{"test", *backend, variables, Mode::Training, 1};

    void emit(std::vector<TensorId> writes, std::vector<TensorId> reads) {
        emitter.emit("op", "op", std::move(writes), std::move(reads), 0, [](Device&, const Frame&) {});
    }
};

TEST_F(EmitterTest, ReadBeforeWriteIsRefused) {
    const TensorId a = emitter.transient("a", {4});
    emit({}, {a});
    EXPECT_THROW(emitter.finish(), std::logic_error);
}

TEST_F(EmitterTest, ReadAfterAnInPlaceOpTookTheMemoryIsRefused) {
    const TensorId a = emitter.transient("a", {4});
    const TensorId b = emitter.alias(a, "b", {2, 2});
    emit({a}, {});
    emit({b}, {a});
    emit({}, {b});
    emit({}, {a});
    EXPECT_THROW(emitter.finish(), std::logic_error);
}

TEST_F(EmitterTest, ViewsOfOneBufferMayBeReadTogether) {
    const TensorId a = emitter.transient("a", {4});
    const TensorId b = emitter.alias(a, "b", {2, 2});
    emit({a}, {});
    emit({}, {b});
    emit({}, {a});
    EXPECT_NO_THROW(emitter.finish());
}

TEST_F(EmitterTest, TransientsDoNotCrossFromSetupIntoTheStep) {
    const TensorId a = emitter.transient("a", {4});
    emitter.phase(Phase::Setup);
    emit({a}, {});
    emitter.phase(Phase::Forward);
    emit({}, {a});
    EXPECT_THROW(emitter.finish(), std::logic_error);
}

TEST_F(EmitterTest, AnActivationHasOneGradient) {
    const TensorId a = emitter.transient("a", {4}), da = emitter.transient("da", {4});
    emitter.set_gradient(a, da);
    EXPECT_THROW(emitter.set_gradient(a, da), std::logic_error);
    EXPECT_THROW(emitter.gradient(da), std::logic_error);
}

TEST_F(EmitterTest, BackwardPlaysInReverse) {
    std::string order;
    emitter.on_backward([&] { order += "first"; });
    emitter.on_backward([&] { order += "second "; });
    EXPECT_THROW(emitter.finish(), std::logic_error);
    emitter.play_backward();
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

TEST_F(EmitterTest, BytesAndFlopsOfAProgramAreThoseOfItsOps) {
    const TensorId x = emitter.variable(Segment::State, "x", {10}), y = emitter.transient("y", {4});
    const TensorId half = emitter.transient("half", {6}, DType::F16), scratch = emitter.scratch("scratch", 1000);
    const TensorId store = emitter.external("features", {100}, DType::F32);
    const auto op = [&](Phase phase, std::vector<TensorId> writes, std::vector<TensorId> reads, double flops) {
        emitter.phase(phase);
        emitter.emit("op", "op", std::move(writes), std::move(reads), flops, [](Device&, const Frame&) {});
    };
    op(Phase::Setup, {x}, {}, 7);
    op(Phase::Forward, {y, scratch}, {x, x}, 5); // 16 written, 2 x 40 read; scratch costs nothing
    op(Phase::Forward, {half}, {store}, 11);     // 12 written, of the store no more than that
    op(Phase::Backward, {}, {y, half}, 3);       // 16 and 12 read
    const Program program = emitter.finish();
    EXPECT_EQ(program.bytes_moved(program.ops[0]), 40);
    EXPECT_EQ(program.bytes_moved(program.ops[1]), 96);
    EXPECT_EQ(program.bytes_moved(program.ops[2]), 24);
    EXPECT_EQ(program.bytes_moved(program.ops[3]), 28);
    EXPECT_EQ(program.bytes_moved(), 96 + 24 + 28) << "without setup";
    EXPECT_EQ(program.flops(Phase::Setup), 7);
    EXPECT_EQ(program.flops(Phase::Forward), 16);
    EXPECT_EQ(program.flops(Phase::Backward), 3);
    EXPECT_EQ(program.flops(Phase::Update), 0);
}

} // namespace
} // namespace scene
