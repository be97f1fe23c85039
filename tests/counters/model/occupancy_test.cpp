// Occupancy against examples that NVIDIA published, and against the toolkit's own calculator where there is a toolkit.

#include <gtest/gtest.h>

#include "tests/counters/model/occupancy.h"

#if __has_include(<cuda_occupancy.h>)
#include <cuda_occupancy.h>
#define SCENE_HAS_CALCULATOR
#endif

namespace scene::counters {
namespace {

/// Limits of a multiprocessor: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
GpuProperties of_capability(int major, int minor, int warps, int blocks, int shared_kib) {
    GpuProperties gpu;
    gpu.major = major, gpu.minor = minor;
    gpu.warps = warps, gpu.blocks = blocks, gpu.registers = 65536;
    gpu.shared_bytes = int64_t{1024} * shared_kib;
    gpu.reserved_shared_bytes = 1024;
    return gpu;
}

const GpuProperties a100 = of_capability(8, 0, 64, 32, 164), ada = of_capability(8, 9, 48, 24, 100),
                    h100 = of_capability(9, 0, 64, 32, 228), b200 = of_capability(10, 0, 64, 32, 228),
                    rtx5090 = of_capability(12, 0, 48, 24, 100);

// CUDA C++ Best Practices Guide, "Calculating Occupancy": 37 registers on a multiprocessor of 65,536 registers and
// 2,048 threads: 12 blocks of 128 threads are 75 %, 4 blocks of 320 threads are 63 %.
TEST(Occupancy, TheBestPracticesGuidesExample) {
    const Occupancy small = occupancy(h100, 37, 128, 0), large = occupancy(h100, 37, 320, 0);
    EXPECT_EQ(small.blocks, 12);
    EXPECT_DOUBLE_EQ(small.share, 0.75);
    EXPECT_EQ(small.limit, Limit::Registers);
    EXPECT_EQ(large.blocks, 4);
    EXPECT_DOUBLE_EQ(large.share, 40.0 / 64); // printed as 63 %
}

// CUDA C++ Programming Guide, "Multiprocessor Level": with 64 registers two blocks of 512 threads are resident, because
// they need 2 x 512 x 64 registers of 65,536; one register more, and it is one block.
TEST(Occupancy, TheProgrammingGuidesExample) {
    EXPECT_EQ(occupancy(h100, 64, 512, 0).blocks, 2);
    EXPECT_EQ(occupancy(h100, 65, 512, 0).blocks, 1);
}

TEST(Occupancy, EachLimit) {
    EXPECT_EQ(occupancy(h100, 32, 1024, 0).limit, Limit::Warps);
    EXPECT_EQ(occupancy(h100, 16, 32, 0).limit, Limit::Blocks);
    EXPECT_EQ(occupancy(h100, 16, 32, 0).blocks, 32);
    EXPECT_EQ(occupancy(ada, 16, 32, 0).blocks, 24);
    // A block has 1 KiB for the system beside its own: 227 + 1 and 4 x (56 + 1) fill 228 KiB.
    EXPECT_EQ(occupancy(h100, 32, 128, 227 * 1024).blocks, 1);
    EXPECT_EQ(occupancy(h100, 32, 128, 56 * 1024).blocks, 4);
    EXPECT_EQ(occupancy(h100, 32, 128, 56 * 1024 + 1).blocks, 3);
    EXPECT_EQ(occupancy(h100, 32, 128, 56 * 1024 + 1).limit, Limit::SharedMemory);
    EXPECT_EQ(occupancy(a100, 32, 128, 56 * 1024).blocks, 2);
    EXPECT_EQ(occupancy(ada, 32, 128, 56 * 1024).blocks, 1);
}

TEST(Occupancy, WhatCannotBeLaunched) {
    EXPECT_EQ(occupancy(h100, 32, 1025, 0).blocks, 0);
    EXPECT_EQ(occupancy(h100, 65, 1024, 0).blocks, 0);
    EXPECT_EQ(occupancy(h100, 32, 32, 228 * 1024).blocks, 0);
}

#ifdef SCENE_HAS_CALCULATOR
TEST(Occupancy, AsCudasCalculatorSays) {
    for (const GpuProperties& gpu : {a100, ada, h100, b200, rtx5090}) {
        cudaOccDeviceProp properties;
        properties.computeMajor = gpu.major, properties.computeMinor = gpu.minor;
        properties.maxThreadsPerBlock = 1024;
        properties.maxThreadsPerMultiprocessor = 32 * gpu.warps;
        properties.regsPerBlock = properties.regsPerMultiprocessor = gpu.registers;
        properties.warpSize = 32;
        properties.sharedMemPerBlock = 48 * 1024;
        properties.sharedMemPerMultiprocessor = static_cast<size_t>(gpu.shared_bytes);
        properties.numSms = 132;
        properties.sharedMemPerBlockOptin = static_cast<size_t>(gpu.shared_bytes) - 1024;
        properties.reservedSharedMemPerBlock = 1024;
        cudaOccDeviceState state;
        state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
        for (int registers = 1; registers <= 255; registers += 3) {
            for (int threads = 32; threads <= 1024; threads += 96) {
                for (int shared = 0; shared < gpu.shared_bytes; shared += 12345) {
                    cudaOccFuncAttributes attributes;
                    attributes.maxThreadsPerBlock = 1024;
                    attributes.numRegs = registers;
                    attributes.sharedSizeBytes = 0;
                    attributes.partitionedGCConfig = PARTITIONED_GC_OFF;
                    attributes.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
                    attributes.maxDynamicSharedSizeBytes = static_cast<size_t>(shared);
                    attributes.numBlockBarriers = 1;
                    cudaOccResult result;
                    ASSERT_EQ(cudaOccMaxActiveBlocksPerMultiprocessor(&result, &properties, &attributes, &state,
                                                                      threads, static_cast<size_t>(shared)),
                              CUDA_OCC_SUCCESS);
                    ASSERT_EQ(occupancy(gpu, registers, threads, shared).blocks, result.activeBlocksPerMultiprocessor)
                        << gpu.major << "." << gpu.minor << ": " << registers << " registers, " << threads
                        << " threads, " << shared << " bytes";
                }
            }
        }
    }
}
#endif

} // namespace
} // namespace scene::counters
