// The emulator itself: it computes what a device would, and it finds faults.

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "tests/cuda_on_cpu/faults.h"

namespace scene::test {
namespace {

TEST(Emulator, ReversesBlocks) {
    for (const int count : {1, 31, 33, 1024}) {
        const Guarded in = uniform({blocks * count}, 2);
        const OnDevice d_in(in), out(in.shape());
        reverse(static_cast<Tensor>(out).as<float>(), static_cast<Tensor>(d_in).as<float>(), blocks, count,
                Fault::None);
        const Guarded result = out.host();
        for (int i = 0; i < blocks * count; ++i)
            EXPECT_EQ(result[i], in[i / count * count + count - 1 - i % count]) << i;
    }
}

TEST(Emulator, FindsBarriersThatSomeThreadsMiss) {
    expect_found(Fault::BarrierInBranch, "ended");
    expect_found(Fault::TwoBarriers, "waits at the barrier at");
}

TEST(Emulator, FindsWrongWarpMasks) {
    expect_found(Fault::WrongMask, "ended");
    const std::string message = message_of(Fault::MissingLanes, 20);
    EXPECT_TRUE(contains(message, "lanes that the warp lacks")) << message;
}

TEST(Emulator, AMissingBarrierShowsInTheResult) {
    bool wrong = false;
    for (const uint64_t seed : {1, 2, 3}) {
        emulator::shuffle(seed);
        const Guarded in = uniform({threads}, 3);
        const OnDevice d_in(in), out(in.shape());
        try {
            reverse(static_cast<Tensor>(out).as<float>(), static_cast<Tensor>(d_in).as<float>(), 1, threads,
                    Fault::NoBarrier);
        } catch (const Error&) { wrong = true; }
        const Guarded result = out.host();
        for (int i = 0; i < threads; ++i) wrong |= !(result[i] == in[threads - 1 - i]);
    }
    EXPECT_TRUE(wrong);
}

TEST(Emulator, FindsAccessesOutsideMemory) {
    for (const Fault fault : {Fault::SharedBeyond, Fault::DeviceBeyond, Fault::DeviceBefore}) {
        if (emulator::checks_accesses()) {
            expect_found(fault, "out of bounds");
        } else {
            GTEST_FLAG_SET(death_test_style, "threadsafe");
            EXPECT_DEATH(message_of(fault), "AddressSanitizer");
        }
    }
}

TEST(Emulator, FindsMisalignedVectors) { expect_found(Fault::Misaligned, "misaligned"); }

TEST(Emulator, CopiesAndFillsStayInsideAnAllocation) {
    const OnDevice memory(Shape{10});
    float host[11] = {};
    float* device = static_cast<Tensor>(memory).as<float>();
    EXPECT_EQ(cudaMemcpyAsync(host, device, 40, cudaMemcpyDeviceToHost, nullptr), cudaSuccess);
    EXPECT_NE(cudaMemcpyAsync(host, device, 44, cudaMemcpyDeviceToHost, nullptr), cudaSuccess);
    EXPECT_NE(cudaMemcpyAsync(device, host, 44, cudaMemcpyHostToDevice, nullptr), cudaSuccess);
    EXPECT_NE(cudaMemsetAsync(device + 1, 0, 40, nullptr), cudaSuccess);
    EXPECT_NE(cudaFree(device + 1), cudaSuccess);
}

std::vector<int> exchanged(Exchange kind) {
    const OnDevice out(Shape{32}, DType::I32);
    exchange(static_cast<Tensor>(out).as<int32_t>(), 32, kind);
    const Guarded host = out.host();
    return {host.as<int32_t>().begin(), host.as<int32_t>().end()};
}

TEST(Emulator, ShufflesAndVotes) {
    for (int i = 0; i < 32; ++i) {
        EXPECT_EQ(exchanged(Exchange::Up3)[i], i < 3 ? i : i - 3);
        EXPECT_EQ(exchanged(Exchange::Down3)[i], i > 28 ? i : i + 3);
        EXPECT_EQ(exchanged(Exchange::Xor5)[i], i ^ 5);
        EXPECT_EQ(exchanged(Exchange::Broadcast2)[i], 2);
        EXPECT_EQ(exchanged(Exchange::Down3Of8)[i], i % 8 > 4 ? i : i + 3);
        EXPECT_EQ(static_cast<unsigned>(exchanged(Exchange::Ballot)[i]), 0x49249249u);
        EXPECT_EQ(exchanged(Exchange::Count)[i], 11);
    }
}

TEST(Emulator, CountsWithAtomics) {
    const OnDevice count(filled_int({1}, {5}));
    count_threads(static_cast<Tensor>(count).as<int32_t>(), 7, 100);
    EXPECT_EQ(count.host().as<int32_t>()[0], 705);
}

std::vector<int> order_of(uint64_t seed) {
    emulator::shuffle(seed);
    const OnDevice order(Shape{8 * 32}, DType::I32), counter(filled_int({1}, {0}));
    running_order(static_cast<Tensor>(order).as<int32_t>(), static_cast<Tensor>(counter).as<int32_t>(), 8, 32);
    const Guarded host = order.host();
    return {host.as<int32_t>().begin(), host.as<int32_t>().end()};
}

TEST(Emulator, TheSeedGivesTheOrder) {
    std::vector<int> first = order_of(1), ascending(first.size());
    EXPECT_EQ(first, order_of(1));
    EXPECT_NE(first, order_of(2));
    std::sort(first.begin(), first.end());
    std::iota(ascending.begin(), ascending.end(), 0);
    EXPECT_EQ(first, ascending);
}

TEST(Emulator, SumsOfWarpsAndBlocks) {
    for (const int count : {32, 64, 256, 1024}) {
        const OnDevice out(Shape{2});
        sums(static_cast<Tensor>(out).as<float>(), count);
        EXPECT_EQ(out.host()[0], 496.0f);
        EXPECT_EQ(out.host()[1], static_cast<float>(count * (count - 1) / 2));
    }
}

TEST(Emulator, RefusesLaunchesThatADeviceRefuses) {
    EXPECT_THROW(launch_with(dim3(0), dim3(32), 0), Error);
    EXPECT_THROW(launch_with(dim3(1), dim3(0), 0), Error);
    EXPECT_THROW(launch_with(dim3(1), dim3(1025), 0), Error);
    EXPECT_THROW(launch_with(dim3(1, 65536), dim3(1), 0), Error);
    EXPECT_THROW(launch_with(dim3(1), dim3(1), 228 * 1024), Error);
    EXPECT_NO_THROW(launch_with(dim3(1), dim3(1024), 227 * 1024));
}

TEST(Emulator, HalfRoundsToNearestEven) {
    EXPECT_EQ(__half2float(__float2half_rn(1 + 0x1p-11f)), 1.0f);
    EXPECT_EQ(__half2float(__float2half_rn(1 + 0x1.8p-10f)), 1 + 0x1p-9f);
    EXPECT_EQ(__half2float(__float2half_rn(0x1p-25f)), 0.0f);
    EXPECT_EQ(__half2float(__float2half_rn(0x1.8p-25f)), 0x1p-24f);
    EXPECT_TRUE(std::isinf(__half2float(__float2half_rn(65520))));
    EXPECT_EQ(__half2float(__float2half_rn(65519)), 65504.0f);
}

TEST(Emulator, BFloat16RoundsToNearestEven) {
    const auto rounded = [](float value) { return __bfloat162float(__float2bfloat16_rn(value)); };
    EXPECT_EQ(__float2bfloat16_rn(1.0f).bits, 0x3F80);
    EXPECT_EQ(__float2bfloat16_rn(-2.5f).bits, 0xC020);
    EXPECT_EQ(rounded(1 + 0x1p-8f), 1.0f);
    EXPECT_EQ(rounded(1 + 0x1.8p-7f), 1 + 0x1p-6f);
    EXPECT_EQ(rounded(1 + 0x1.02p-8f), 1 + 0x1p-7f);
    EXPECT_EQ(rounded(-1 - 0x1p-8f), -1.0f);
    EXPECT_EQ(rounded(0x1p-133f), 0x1p-133f) << "the smallest subnormal";
    EXPECT_EQ(rounded(0x1p-134f), 0.0f);
    EXPECT_TRUE(std::signbit(rounded(-0.0f)));
    EXPECT_EQ(rounded(0x1.FEp127f), 0x1.FEp127f) << "the largest";
    EXPECT_EQ(rounded(0x1.FEFFFEp127f), 0x1.FEp127f);
    EXPECT_TRUE(std::isinf(rounded(0x1.FFp127f)));
    EXPECT_TRUE(std::isinf(rounded(INFINITY)));
    EXPECT_EQ(__float2bfloat16_rn(-std::nanf("1")).bits, 0x7FFF) << "CUDA's";
    EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7F800001u)))) << "and no infinity";
}

TEST(Emulator, ErrorsNameTheStatementAndItsPlace) {
    try {
        launch_with(dim3(0), dim3(32), 0);
        FAIL();
    } catch (const Error& error) {
        EXPECT_TRUE(contains(error.what(), "a grid without blocks")) << error.what();
        EXPECT_TRUE(contains(error.what(), "cudaLaunchKernelEx")) << error.what();
        EXPECT_TRUE(contains(error.what(), "launch.h:")) << error.what();
    }
}

} // namespace
} // namespace scene::test
