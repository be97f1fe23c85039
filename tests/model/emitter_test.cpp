#include "model/emitter.h"

#include <gtest/gtest.h>

namespace scene {
namespace {

class EmitterTest : public testing::Test {
protected:
    std::unique_ptr<Backend> backend = make_cpu_backend(1);
    Variables variables;
    Emitter emitter{"test", *backend, variables, Mode::Training, 1};

    void emit(std::vector<TensorId> writes, std::vector<TensorId> reads) {
        emitter.emit("op", "op", std::move(writes), std::move(reads), 0, [](Backend&, const Frame&) {});
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

} // namespace
} // namespace scene
