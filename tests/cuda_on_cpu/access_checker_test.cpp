// Faults that only the build that reports every access finds. Not linked into the other one.

#include "tests/cuda_on_cpu/faults.h"

namespace scene::test {
namespace {

TEST(AccessChecker, IsActive) { EXPECT_TRUE(emulator::checks_accesses()); }

TEST(AccessChecker, FindsRaces) {
    expect_found(Fault::NoBarrier, "shared memory");
    expect_found(Fault::NoWarpBarrier, "nothing orders them");
    expect_found(Fault::ReadersAndWriter, "nothing orders them");
    expect_found(Fault::BlocksCollide, "nothing orders them, at byte");
}

TEST(AccessChecker, FindsUninitialisedReads) {
    expect_found(Fault::UninitialisedShared, "reads what nobody wrote");
    const OnDevice in(Shape{threads}), out(Shape{threads});
    EXPECT_THROW(
        reverse(static_cast<Tensor>(out).as<float>(), static_cast<Tensor>(in).as<float>(), 1, threads, Fault::None),
        Error);
}

} // namespace
} // namespace scene::test
