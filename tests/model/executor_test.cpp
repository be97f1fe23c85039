#include "model/executor.h"

#include <gtest/gtest.h>

#include "model/program_builder.h"
#include "tests/support/forwarding_device.h"

namespace scene::test {
namespace {

/// Records the calls to the device other than ops.
class Spy : public ForwardingDevice<Spy> {
public:
    std::vector<size_t> allocated;
    std::vector<const void*> imported;
    int released = 0, imports_released = 0, recorded = 0, replayed = 0;
    std::string ranges;

    void* allocate(size_t bytes) override {
        allocated.push_back(bytes);
        return ForwardingDevice::allocate(bytes);
    }
    void release(void* memory) override {
        ++released;
        ForwardingDevice::release(memory);
    }
    void* import(const void* host, size_t bytes) override {
        imported.push_back(host);
        return ForwardingDevice::import(host, bytes);
    }
    void release_import(void* memory) override {
        ++imports_released;
        ForwardingDevice::release_import(memory);
    }
    std::function<void()> record(std::function<void()> ops) override {
        ++recorded;
        return [this, ops = std::move(ops)] {
            ++replayed;
            ops();
        };
    }
    void begin_range(const std::string& name) override { ranges += name + "("; }
    void end_range() override { ranges += ")"; }
};

/// A program whose ops write their names into `ran`; "b" writes the transient that "c" reads.
class ExecutorTest : public testing::Test {
protected:
    Program build(const std::string& prefix, int64_t transient_floats) {
        ProgramBuilder builder(prefix, spy_.planner(), variables_, Mode::Inference, 1);
        const TensorId kept = builder.variable(Segment::State, "kept", {4});
        const TensorId features = builder.external("features", {3}, DType::F32);
        const TensorId between = builder.transient("between", {transient_floats});
        const auto op = [&](const std::string& name, std::vector<TensorId> writes, std::vector<TensorId> reads,
                            std::function<void(const Bindings&)> work) {
            Op op;
            op.name = prefix + name;
            op.writes = std::move(writes);
            op.reads = std::move(reads);
            op.call = [this, name = prefix + name, work = std::move(work)](Device&, const Bindings& bindings) {
                ran_ += name + " ";
                work(bindings);
            };
            builder.append(std::move(op));
        };
        builder.phase(Phase::Setup);
        op("a", {kept}, {}, [](const Bindings&) {});
        builder.phase(Phase::Forward);
        op("b", {between}, {features}, [=](const Bindings& f) {
            for (int i = 0; i < 3; ++i) f[between].as<float>()[i] = 2 * f[features].as<float>()[i];
        });
        builder.phase(Phase::Update);
        op("c", {kept}, {between}, [=](const Bindings& f) {
            for (int i = 0; i < 3; ++i) f[kept].as<float>()[i] += f[between].as<float>()[i];
        });
        between_ = between;
        return builder.finish();
    }
    std::vector<float> kept(const Executor& executor) const {
        std::vector<float> out(4);
        executor.download(Segment::State, "kept", out.data(), 16);
        return out;
    }

    Spy spy_;
    Variables variables_;
    std::string ran_;
    TensorId between_;
    std::vector<float> features_ = {1, 2, 3};
};

TEST_F(ExecutorTest, SetupRunsItsOwnOpsAndAStepAllOthers) {
    const Program program = build("", 3);
    Executor executor(spy_, variables_, {&program});
    executor.bind_external("features", features_.data(), 12);
    executor.setup(program);
    EXPECT_EQ(ran_, "a ");
    ran_.clear();
    executor.run(program);
    EXPECT_EQ(ran_, "b c ");
    EXPECT_EQ(kept(executor), (std::vector<float>{2, 4, 6, 0}));
    const Tensor between = executor.tensor(program, between_);
    EXPECT_EQ(between.as<float>()[2], 6);
}

TEST_F(ExecutorTest, TheFirstStepIsRecordedAndTheOthersAreReplayed) {
    const Program one = build("1", 3), two = build("2", 3);
    Executor executor(spy_, variables_, {&one, &two});
    executor.bind_external("features", features_.data(), 12);
    executor.run(one);
    EXPECT_EQ(ran_, "1b 1c ") << "recording runs nothing";
    EXPECT_EQ(spy_.recorded, 1);
    EXPECT_EQ(spy_.replayed, 0);
    executor.run(one);
    executor.run(one);
    EXPECT_EQ(spy_.recorded, 1);
    EXPECT_EQ(spy_.replayed, 2);
    EXPECT_EQ(ran_, "1b 1c 1b 1c 1b 1c ");
    executor.run(two);
    EXPECT_EQ(spy_.recorded, 2) << "each program has a record of its own";
    executor.setup(one);
    EXPECT_EQ(ran_, "1b 1c 1b 1c 1b 1c 2b 2c 1a ");
    EXPECT_EQ(kept(executor), (std::vector<float>{8, 16, 24, 0}));
}

TEST_F(ExecutorTest, ProfilesEveryOpOfAStepUnderItsName) {
    const Program program = build("", 3);
    Executor executor(spy_, variables_, {&program});
    executor.bind_external("features", features_.data(), 12);
    const std::vector<OpTime> times = executor.profile(program);
    ASSERT_EQ(times.size(), 2u);
    EXPECT_EQ(times[0].op, &program.ops[1]);
    EXPECT_EQ(times[1].op, &program.ops[2]);
    for (const OpTime& time : times) EXPECT_GE(time.seconds, 0);
    EXPECT_EQ(spy_.ranges, "step(b()c())");
    EXPECT_EQ(spy_.recorded, 0);
    spy_.ranges.clear();
    executor.run(program);
    EXPECT_EQ(spy_.ranges, "b()c()");
}

/// A profiler that looks at the range "timed" sees one op, in a step that is whole.
TEST_F(ExecutorTest, ProfilesTheChosenOpsAndRunsTheOthers) {
    const Program program = build("", 3);
    Executor executor(spy_, variables_, {&program});
    executor.bind_external("features", features_.data(), 12);
    const std::vector<OpTime> times = executor.profile(program, [](const Op& op) { return op.name == "c"; });
    ASSERT_EQ(times.size(), 1u);
    EXPECT_EQ(times[0].op, &program.ops[2]);
    EXPECT_EQ(ran_, "b c ");
    EXPECT_EQ(spy_.ranges, "step(b()timed(c()))");
}

TEST_F(ExecutorTest, RunsAStepOpByOpWithoutRecordingIt) {
    const Program program = build("", 3);
    Executor executor(spy_, variables_, {&program});
    executor.bind_external("features", features_.data(), 12);
    executor.run_op_by_op(program);
    executor.run_op_by_op(program);
    EXPECT_EQ(ran_, "b c b c ");
    EXPECT_EQ(spy_.recorded, 0);
}

TEST_F(ExecutorTest, OneAllocationHoldsTheVariablesAndTheLargestStep) {
    const Program small = build("1", 3), large = build("2", 1000);
    {
        Executor executor(spy_, variables_, {&small, &large});
        EXPECT_EQ(spy_.allocated, std::vector<size_t>{variables_.total_bytes() + large.transient_bytes});
        EXPECT_EQ(executor.arena_bytes(), spy_.allocated[0]);
        EXPECT_EQ(spy_.released, 0);
    }
    EXPECT_EQ(spy_.released, 1);
    Executor reversed(spy_, variables_, {&large, &small});
    EXPECT_EQ(reversed.arena_bytes(), spy_.allocated[0]);
}

TEST_F(ExecutorTest, ExternalMemoryIsImportedOnceForAllPrograms) {
    const Program one = build("1", 3), two = build("2", 3);
    {
        Executor executor(spy_, variables_, {&one, &two});
        EXPECT_THROW(executor.run(one), std::logic_error) << "nothing is bound";
        executor.bind_external("features", features_.data(), 12);
        executor.bind_external("features", features_.data(), 12);
        executor.bind_external("nobody reads this", features_.data(), 12);
        EXPECT_EQ(spy_.imported, std::vector<const void*>{features_.data()});
        executor.run(one);
        executor.run(two);
        EXPECT_EQ(kept(executor), (std::vector<float>{4, 8, 12, 0}));
        EXPECT_THROW(executor.bind_external("features", features_.data(), 8), std::logic_error);
        EXPECT_EQ(spy_.imports_released, 0);
    }
    EXPECT_EQ(spy_.imports_released, 1);
    std::vector<float> of_device = {10, 20, 30};
    Executor executor(spy_, variables_, {&one});
    executor.bind_external("features", Tensor{of_device.data(), DType::F32, {3}});
    executor.run(one);
    EXPECT_EQ(kept(executor), (std::vector<float>{20, 40, 60, 0}));
    EXPECT_EQ(spy_.imported.size(), 1u);
}

TEST_F(ExecutorTest, WhatItDoesNotHaveIsRefused) {
    const Program program = build("1", 3), foreign = build("2", 3);
    Executor executor(spy_, variables_, {&program});
    EXPECT_THROW(executor.run(foreign), std::logic_error);
    EXPECT_THROW(executor.setup(foreign), std::logic_error);
    EXPECT_THROW(executor.tensor(Segment::State, "unknown"), std::logic_error);
    EXPECT_THROW(executor.tensor(Segment::Parameters, "kept"), std::logic_error);
    std::vector<float> values(4, 7.0f);
    EXPECT_THROW(executor.upload(Segment::State, "kept", values.data(), 12), std::logic_error);
    EXPECT_THROW(executor.download(Segment::State, "kept", values.data(), 12), std::logic_error);
    executor.upload(Segment::State, "kept", values.data(), 16);
    EXPECT_EQ(kept(executor), values);
}

} // namespace
} // namespace scene::test
