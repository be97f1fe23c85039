// The counters themselves, on kernels whose counters are known, and kernels that are slow in one way each.

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/counters/access_counter.h"
#include "tests/counters/counter_names.h"
#include "tests/counters/known_kernels.h"
#include "tests/counters/thresholds.h"

namespace scene::counters {
namespace {

using test::Slowness;
using test::Vector;

/// Device memory, zeros at first.
class Memory {
public:
    explicit Memory(size_t bytes) : memory_(emulator::allocate(bytes)) {}
    ~Memory() { EXPECT_TRUE(emulator::release(memory_)); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    float* floats() const { return static_cast<float*>(memory_); }
    int* ints() const { return static_cast<int*>(memory_); }

private:
    void* memory_;
};

constexpr CountingLimits everything{.accesses = ~uint64_t{0}};

/// The counters of the one launch that `work` makes.
template <typename Work> LaunchCounts counted(Work&& work, CountingLimits limits = everything) {
    AccessCounter counter(limits);
    work();
    std::vector<LaunchCounts> launches = counter.take();
    EXPECT_EQ(launches.size(), 1u);
    return launches.empty() ? LaunchCounts{} : launches.front();
}

AccessCounts sum(const LaunchCounts& launch, AccessKind kind) {
    AccessCounts total;
    for (const InstructionCounts& instruction : launch.instructions)
        if (instruction.kind == kind) total += instruction.counts;
    return total;
}

AccessTable table_of(const LaunchCounts& launch) {
    AccessTable table;
    for (const InstructionCounts& instruction : launch.instructions)
        table[static_cast<size_t>(instruction.kind)] += instruction.counts;
    return table;
}

TEST(AccessCounter, AStridedCopyTouchesMoreSectors) {
    constexpr int n = 4096;
    const Memory out(n * 4), in(n * 32 * 4);
    for (const int stride : {1, 2, 4, 8, 32}) {
        SCOPED_TRACE(stride);
        const LaunchCounts launch = counted([&] { test::strided_copy(out.floats(), in.floats(), n, stride); });
        const AccessCounts load = sum(launch, AccessKind::GlobalLoad), store = sum(launch, AccessKind::GlobalStore);
        EXPECT_EQ(load.requests, n / 32);
        EXPECT_EQ(load.lanes, n);
        EXPECT_EQ(load.bytes, 4 * n);
        EXPECT_EQ(load.sectors, n / 32 * std::min(32, 4 * stride));
        EXPECT_EQ(load.least_sectors, n / 32 * 4);
        EXPECT_EQ(store.requests, n / 32);
        EXPECT_EQ(store.sectors, n / 32 * 4);
        EXPECT_EQ(launch.distinct_bytes_read, 4 * n);
        EXPECT_EQ(launch.distinct_bytes_written, 4 * n);
        EXPECT_EQ(launch.counted_blocks, 32u);
        EXPECT_EQ(launch.scaling_error, 0);
        EXPECT_EQ(launch.barriers, 0);
    }
}

/// One address off a sector's start a request touches one sector more.
TEST(AccessCounter, AMisalignedRequestTouchesASectorMore) {
    const Memory out(4096), in(8192);
    const LaunchCounts launch = counted([&] { test::strided_copy(out.floats(), in.floats() + 1, 128, 1); });
    EXPECT_EQ(sum(launch, AccessKind::GlobalLoad).sectors, 4 * 5);
    EXPECT_EQ(sum(launch, AccessKind::GlobalLoad).least_sectors, 4 * 4);
}

TEST(AccessCounter, ATransposeConflictsUnlessItIsPadded) {
    const Memory out(4096), in(4096);
    for (const int padding : {0, 1, 2}) {
        SCOPED_TRACE(padding);
        const LaunchCounts launch = counted([&] { test::transpose(out.floats(), in.floats(), padding); });
        const AccessCounts load = sum(launch, AccessKind::SharedLoad), store = sum(launch, AccessKind::SharedStore);
        EXPECT_EQ(store.requests, 32);
        EXPECT_EQ(store.wavefronts, 32);
        EXPECT_EQ(load.requests, 32);
        EXPECT_EQ(load.wavefronts, 32 * (padding == 0 ? 32 : padding));
        EXPECT_EQ(load.least_wavefronts, 32);
        EXPECT_EQ(launch.barriers, 8) << "one, by eight warps";
        EXPECT_EQ(sum(launch, AccessKind::GlobalLoad).sectors, 32 * 4);
        EXPECT_EQ(launch.distinct_bytes_read, 4096);
    }
}

TEST(AccessCounter, ABranchHalvesTheLanes) {
    constexpr int n = 256;
    const Memory out(n * 4), in(n * 4), other(n * 4);
    const LaunchCounts launch = counted([&] { test::branch(out.floats(), in.floats(), other.floats(), n); });
    const AccessCounts load = sum(launch, AccessKind::GlobalLoad), store = sum(launch, AccessKind::GlobalStore);
    EXPECT_EQ(load.requests, 4 * n / 32) << "two on either side";
    EXPECT_EQ(store.requests, 2 * n / 32);
    EXPECT_EQ(lanes_per_access(table_of(launch)), 16);
    EXPECT_LT(launch.thread_blocks / launch.warp_blocks, 32);
    EXPECT_GT(launch.thread_blocks / launch.warp_blocks, 16);
}

/// Lanes that leave out different turns do not meet in them: no lane runs ahead within a loop.
TEST(AccessCounter, LanesMeetInTheSameTurnOfALoop) {
    const Memory out(128), in(32 * 128);
    const LaunchCounts skipping = counted([&] { test::skip_turns(out.floats(), in.floats(), 8); });
    EXPECT_EQ(sum(skipping, AccessKind::GlobalLoad).requests, 8);
    EXPECT_EQ(sum(skipping, AccessKind::GlobalLoad).lanes, 8 * 16);
    EXPECT_EQ(sum(skipping, AccessKind::GlobalStore).requests, 1) << "they meet again behind the loop";
    const LaunchCounts leaving = counted([&] { test::loop_as_long_as_lane(out.floats(), in.floats()); });
    EXPECT_EQ(sum(leaving, AccessKind::GlobalLoad).requests, 32);
    EXPECT_EQ(sum(leaving, AccessKind::GlobalLoad).lanes, 32 * 33 / 2);
    EXPECT_EQ(sum(leaving, AccessKind::GlobalStore).requests, 1);
}

TEST(AccessCounter, ABroadcastIsOneSector) {
    const Memory out(1024), in(1024);
    const LaunchCounts launch = counted([&] { test::broadcast(out.floats(), in.floats(), 256); });
    const AccessCounts load = sum(launch, AccessKind::GlobalLoad);
    EXPECT_EQ(load.requests, 8);
    EXPECT_EQ(load.sectors, 8);
    EXPECT_EQ(load.least_sectors, 8);
    EXPECT_EQ(launch.distinct_bytes_read, 4);
}

/// The compiler splits vectors into elements; a device moves 16 bytes at once.
TEST(AccessCounter, AVectorIsOneAccess) {
    struct Case {
        Vector vector;
        int bytes, pieces; ///< of a thread, and in how many accesses
        int wavefronts;    ///< of a shared access
    };
    const Memory out(4096), in(4096);
    for (const Case& c : {Case{Vector::Float4, 16, 1, 4},
                          {Vector::Half8, 16, 1, 4},
                          {Vector::Float8, 32, 2, 8},
                          {Vector::Half4, 8, 1, 2},
                          {Vector::Double2, 16, 1, 4}}) {
        SCOPED_TRACE(static_cast<int>(c.vector));
        const LaunchCounts launch = counted([&] { test::copy_vectors(out.floats(), in.floats(), 64, c.vector, true); });
        for (const AccessKind kind : {AccessKind::GlobalLoad, AccessKind::GlobalStore}) {
            const AccessCounts access = sum(launch, kind);
            EXPECT_EQ(access.requests, 2 * c.pieces);
            EXPECT_EQ(access.lanes, 64 * c.pieces);
            EXPECT_EQ(access.bytes, 64 * c.bytes);
            EXPECT_EQ(access.sectors, 64 * c.bytes / 32 * c.pieces) << "each half of 32 bytes touches the same sector";
        }
        for (const AccessKind kind : {AccessKind::SharedLoad, AccessKind::SharedStore}) {
            const AccessCounts access = sum(launch, kind);
            EXPECT_EQ(access.requests, 2 * c.pieces);
            EXPECT_EQ(access.wavefronts, 2 * c.wavefronts * c.pieces) << "in two halves of 32 bytes two lanes conflict";
        }
        EXPECT_EQ(launch.distinct_bytes_read, 64 * c.bytes);
    }
}

/// 16 bytes a lane are served by quarters of a warp. So lanes of a quarter conflict, whatever banks the others leave
/// free.
TEST(AccessCounter, AQuarterOfAWarpIsServedAtATime) {
    const Memory out(512), in(512);
    const LaunchCounts launch = counted([&] { test::copy_vectors_through_columns(out.floats(), in.floats()); });
    for (const AccessKind kind : {AccessKind::SharedLoad, AccessKind::SharedStore}) {
        EXPECT_EQ(sum(launch, kind).wavefronts, 4 * 8);
        EXPECT_EQ(sum(launch, kind).least_wavefronts, 4);
    }
}

TEST(AccessCounter, AtomicsAndTheLastWarp) {
    const Memory count(128), out(4096), in(4096);
    const LaunchCounts launch = counted([&] { test::count_atomically(count.ints(), 256, 2); });
    const AccessCounts atomic = sum(launch, AccessKind::GlobalAtomic);
    EXPECT_EQ(atomic.requests, 8);
    EXPECT_EQ(atomic.lanes, 256);
    EXPECT_EQ(atomic.sectors, 8);
    EXPECT_EQ(launch.distinct_bytes_read, 8);
    EXPECT_EQ(launch.distinct_bytes_written, 8);
    const LaunchCounts partial = counted([&] { test::strided_copy(out.floats(), in.floats(), 75, 1, 40); });
    EXPECT_EQ(sum(partial, AccessKind::GlobalLoad).requests, 4) << "two blocks of a whole and a partial warp";
    EXPECT_EQ(sum(partial, AccessKind::GlobalLoad).lanes, 75);
}

TEST(AccessCounter, ReadingAgainIsNotDistinct) {
    const Memory out(4096), in(4096);
    const LaunchCounts launch = counted([&] { test::read_again(out.floats(), in.floats(), 1024, 3); });
    EXPECT_EQ(sum(launch, AccessKind::GlobalLoad).sectors, 4 * 4096 / 32);
    EXPECT_EQ(launch.distinct_bytes_read, 4096);
}

/// A part of the blocks tells what all do: here neighbours share rows, and the last block has fewer.
TEST(AccessCounter, APartOfTheBlocksTellsWhatAllDo) {
    constexpr int rows = 16 * 200 - 5;
    const Memory out(rows * 256), in(rows * 256);
    const auto run = [&] { test::blur(out.floats(), in.floats(), rows); };
    const LaunchCounts whole = counted(run), part = counted(run, {.accesses = 1});
    EXPECT_EQ(whole.counted_blocks, 200u);
    EXPECT_EQ(part.counted_blocks, 4u);
    const auto close = [](double scaled, double real) { EXPECT_NEAR(scaled, real, 0.01 * real); };
    for (const AccessKind kind : {AccessKind::GlobalLoad, AccessKind::GlobalStore}) {
        const AccessCounts a = sum(part, kind), b = sum(whole, kind);
        close(a.requests, b.requests);
        close(a.lanes, b.lanes);
        close(a.bytes, b.bytes);
        close(a.sectors, b.sectors);
        close(a.least_sectors, b.least_sectors);
    }
    close(part.distinct_bytes_read, whole.distinct_bytes_read);
    close(part.distinct_bytes_written, whole.distinct_bytes_written);
    EXPECT_LT(part.scaling_error, 0.01);
}

TEST(AccessCounter, NoiseIsWhereNothingWasWritten) {
    const Memory in(1 << 16), out(1 << 16);
    fill_with_noise_when_touched(in.floats(), 1 << 16);
    const float written = 7;
    ASSERT_EQ(cudaMemcpy(in.floats(), &written, sizeof written, cudaMemcpyHostToDevice), cudaSuccess);
    (void)counted([&] { test::strided_copy(out.floats(), in.floats(), 1 << 14, 1); });
    EXPECT_EQ(out.floats()[0], 7);
    int different = 0;
    for (int i = 1024; i < 1 << 14; ++i) different += out.floats()[i] != 0 && std::abs(out.floats()[i]) <= 2;
    EXPECT_GT(different, (1 << 14) - 1024 - 200);
}

// ---- thresholds --------------------------------------------------------------------------------------------------

/// A step of this launch alone, at the size of one that takes time.
CountedStep step_of(const LaunchCounts& launch) {
    KernelCounters kernel;
    kernel.kernel = "scene::slow<float>";
    kernel.op = "copy";
    kernel.access = table_of(launch);
    kernel.distinct_bytes_read = launch.distinct_bytes_read;
    kernel.distinct_bytes_written = launch.distinct_bytes_written;
    CountedStep step;
    step.counters.kernels.push_back(kernel);
    step.plan.push_back({"copy", "copy", launch.distinct_bytes_read + launch.distinct_bytes_written});
    return step;
}

TEST(Thresholds, EachPlantedSlownessIsFound) {
    constexpr int n = 1 << 17;
    const Memory out(n * 4), in(n * 4);
    const auto rules = [&](Slowness slowness) {
        std::vector<std::string> found;
        const CountedStep step = step_of(counted([&] { test::slow_copy(out.floats(), in.floats(), n, slowness); }));
        for (const Finding& finding : findings(step)) found.push_back(finding.rule);
        return found;
    };
    using Rules = std::vector<std::string>;
    EXPECT_EQ(rules(Slowness::None), Rules());
    EXPECT_EQ(rules(Slowness::UncoalescedStore), (Rules{"re-read", "sectors"}));
    EXPECT_EQ(rules(Slowness::BankConflict), Rules{"conflicts"});
    EXPECT_EQ(rules(Slowness::Divergence), (Rules{"lanes", "re-read"}));
    EXPECT_EQ(rules(Slowness::ReRead), Rules{"re-read"});
}

TEST(Thresholds, AnOpThatMovesMoreThanItsRecordSaysIsFound) {
    constexpr int n = 1 << 17;
    const Memory out(n * 4), in(n * 4);
    CountedStep step = step_of(counted([&] { test::slow_copy(out.floats(), in.floats(), n, Slowness::None); }));
    step.plan[0].bytes /= 1.1;
    ASSERT_EQ(findings(step).size(), 1u);
    EXPECT_EQ(findings(step)[0].rule, "plan");
    step.plan[0].by_library = true;
    EXPECT_TRUE(findings(step).empty());
}

TEST(Thresholds, AnExceptionExplainsItsFindingAndNoOther) {
    const std::vector<Finding> found = {{"lanes", "convolve", 12, "12 lanes"}};
    EXPECT_EQ(unexplained(found, {}), std::vector<std::string>{"lanes | convolve | 12 lanes"});
    EXPECT_TRUE(unexplained(found, {{"lanes", "convolve", "because"}}).empty());
    EXPECT_EQ(unexplained(found, {{"sectors", "convolve", "because"}}).size(), 2u);
    EXPECT_EQ(unexplained({}, {{"lanes", "convolve", "because"}}),
              std::vector<std::string>{"the exception 'lanes | convolve' is no longer needed"});
}

} // namespace
} // namespace scene::counters
