// The time model on counters made by hand, whose times can be worked out on paper.

#include <gtest/gtest.h>

#include "tests/counters/model/constants.h"
#include "tests/counters/model/library_work.h"
#include "tests/counters/model/time_model.h"

namespace scene::counters {
namespace {

/// Round figures: 100 multiprocessors at 1 GHz.
GpuProperties gpu() {
    GpuProperties gpu;
    gpu.major = 9;
    gpu.multiprocessors = 100;
    gpu.warps = 64, gpu.blocks = 32, gpu.registers = 65536;
    gpu.shared_bytes = 228 * 1024, gpu.reserved_shared_bytes = 1024;
    gpu.clock_hz = 1e9;
    gpu.dram_bytes_per_s = 1e12, gpu.l2_bytes_per_s = 4e12, gpu.half_flops_per_s = 1e15;
    return gpu;
}

AccessCounts& of(KernelCounters& kernel, AccessKind kind) { return kernel.access[static_cast<size_t>(kind)]; }

/// A streaming copy: 4,000 blocks of 256 threads, 16 bytes a thread, once read, once written.
KernelCounters copy() {
    KernelCounters kernel;
    kernel.grid = {4000, 1, 1}, kernel.block = {256, 1, 1};
    const double warps = 4000 * 8;
    for (const AccessKind kind : {AccessKind::GlobalLoad, AccessKind::GlobalStore})
        of(kernel, kind) = {.requests = warps,
                            .lanes = 32 * warps,
                            .bytes = 512 * warps,
                            .sectors = 16 * warps,
                            .least_sectors = 16 * warps};
    kernel.distinct_bytes_read = kernel.distinct_bytes_written = 512 * warps;
    return kernel;
}

const KernelResources few_registers{.registers = 32};

TEST(TimeModel, ACopyIsBoundByMemory) {
    const PredictedTime time = predict(copy(), gpu(), few_registers, {});
    EXPECT_EQ(time.bound, Bound::Memory);
    EXPECT_DOUBLE_EQ(time.memory, 2 * 512.0 * 32000 / 1e12); // 33 us
    EXPECT_DOUBLE_EQ(time.l2, time.memory / 4);
    EXPECT_DOUBLE_EQ(time.l1, 2 * 512.0 * 32000 / 128 / 100 / 1e9);
    EXPECT_DOUBLE_EQ(time.rounds, 4000.0 / (100 * 8));
    EXPECT_DOUBLE_EQ(*time.latency, 5 * latency_under_load * dram_latency_cycles / 1e9);
    EXPECT_DOUBLE_EQ(time.seconds, time.memory + launch_seconds);
    EXPECT_FALSE(time.issue) << "no machine code";
}

TEST(TimeModel, WithoutPtxasThereIsNoOccupancyAndNoLatency) {
    const PredictedTime time = predict(copy(), gpu(), {}, {});
    EXPECT_FALSE(time.occupancy);
    EXPECT_FALSE(time.latency);
    EXPECT_EQ(time.rounds, 0);
}

TEST(TimeModel, SectorsThatAreReadAgainComeFromL2) {
    KernelCounters kernel = copy();
    of(kernel, AccessKind::GlobalLoad).sectors *= 16;
    const PredictedTime time = predict(kernel, gpu(), few_registers, {});
    EXPECT_EQ(time.bound, Bound::L2);
    EXPECT_DOUBLE_EQ(time.l2, 17 * 512.0 * 32000 / 4e12);
}

TEST(TimeModel, BankConflictsCostWavefronts) {
    KernelCounters kernel = copy();
    of(kernel, AccessKind::SharedLoad) = {.requests = 32000, .wavefronts = 32 * 32000.0, .least_wavefronts = 32000};
    of(kernel, AccessKind::SharedStore).wavefronts = 3e6;
    const PredictedTime time = predict(kernel, gpu(), few_registers, {});
    EXPECT_EQ(time.bound, Bound::L1);
    EXPECT_DOUBLE_EQ(time.l1, (32 * 32000.0 + 3e6 + 2 * 4.0 * 32000) / 100 / 1e9);
}

TEST(TimeModel, IssueCountsFourInstructionsACycle) {
    const PredictedTime time =
        predict(copy(), gpu(), few_registers, IssuedInstructions{.warp_instructions = 4e8, .loads_in_flight = 2});
    EXPECT_EQ(time.bound, Bound::Issue);
    EXPECT_DOUBLE_EQ(*time.issue, 1e-3);
}

/// 64 lanes a cycle on compute capability 9.0, 2 on 8.9.
TEST(TimeModel, DoublePrecisionHasFewerUnits) {
    const IssuedInstructions instructions{.warp_instructions = 4e8, .double_precision = 3e8};
    EXPECT_DOUBLE_EQ(*predict(copy(), gpu(), few_registers, instructions).issue, 1.5e-3);
    GpuProperties ada = gpu();
    ada.major = 8, ada.minor = 9;
    EXPECT_DOUBLE_EQ(*predict(copy(), ada, few_registers, instructions).issue, 48e-3);
}

/// One block reads as much as 4,000 did: 4,000 loads a warp, four at a time.
TEST(TimeModel, OneBlockIsBoundByLatency) {
    KernelCounters kernel = copy();
    kernel.grid = {1, 1, 1};
    const PredictedTime time =
        predict(kernel, gpu(), few_registers, IssuedInstructions{.warp_instructions = 1, .loads_in_flight = 4});
    EXPECT_EQ(time.bound, Bound::Latency);
    const double idle = 1000 * dram_latency_cycles / 1e9;
    EXPECT_DOUBLE_EQ(*time.latency, idle * (1 + (latency_under_load - 1) * time.memory / idle));
    EXPECT_LT(*time.latency, 1.1 * idle) << "the memory is hardly busy";
    EXPECT_DOUBLE_EQ(time.l1, 2 * 512.0 * 32000 / 128 / 1e9) << "one multiprocessor does all of it";
}

/// 101 blocks on 100 multiprocessors: one has two.
TEST(TimeModel, TheBusiestMultiprocessorCounts) {
    KernelCounters kernel = copy();
    kernel.grid = {101, 1, 1};
    const double even = 1e9 / 100 / 4 / 1e9;
    EXPECT_DOUBLE_EQ(*predict(kernel, gpu(), {}, IssuedInstructions{.warp_instructions = 1e9}).issue, even * 200 / 101);
}

/// 128 registers leave 2 blocks of 256 threads where 32 leave 8: four times the rounds.
TEST(TimeModel, RegistersCostRounds) {
    const PredictedTime many = predict(copy(), gpu(), KernelResources{.registers = 128}, {});
    EXPECT_EQ(many.occupancy->blocks, 2);
    EXPECT_DOUBLE_EQ(*many.latency, 4 * *predict(copy(), gpu(), few_registers, {}).latency);
}

TEST(LibraryWork, TilesThatChannelsFill) {
    EXPECT_DOUBLE_EQ(tile_fill(144, 64), 0.75);
    EXPECT_DOUBLE_EQ(tile_fill(576, 576), 1);
    EXPECT_DOUBLE_EQ(tile_fill(144, 144), 0.75 * 0.75);
    EXPECT_DOUBLE_EQ(tile_fill(288, 288), 0.75 * 0.9);
}

TEST(LibraryWork, ArithmeticOrOperandsWhicheverTakesLonger) {
    LibraryWork work{.op = "conv",
                     .kind = "conv2d_forward",
                     .flops = 1e12,
                     .bytes = 1e6,
                     .halves = true,
                     .columns = 144,
                     .inner = 64};
    EXPECT_DOUBLE_EQ(predicted_seconds(work, gpu()), 1e-3 / 0.75 + launch_seconds);
    work.halves = false;
    EXPECT_DOUBLE_EQ(predicted_seconds(work, gpu()), 2e-3 / 0.75 + launch_seconds);
    work.bytes = 1e10;
    EXPECT_DOUBLE_EQ(predicted_seconds(work, gpu()), 1e-2 + launch_seconds);
}

/// A stem, another convolution and a linear layer, as a program has them.
TEST(LibraryWork, WhatALibraryComputesOfAProgram) {
    Program program;
    const auto tensor = [&](DType type, const Shape& shape) {
        TensorInfo info;
        info.dtype = type, info.shape = shape;
        program.tensors.push_back(info);
        return TensorId{static_cast<int32_t>(program.tensors.size() - 1)};
    };
    const auto op = [&](const char* name, const char* kind, TensorId out, TensorId in) {
        Op added;
        added.name = name, added.kind = kind, added.writes = {out}, added.reads = {in};
        added.flops = 7, added.bytes = 9;
        program.ops.push_back(added);
    };
    const TensorId clip = tensor(DType::F16, {2, 500, 64, 1}), map = tensor(DType::F16, {2, 250, 32, 144}),
                   wide = tensor(DType::F16, {2, 250, 32, 288}), filters = tensor(DType::F32, {288, 3, 3, 144}),
                   stem = tensor(DType::F32, {144, 5, 5, 1}), tokens = tensor(DType::F32, {32, 128});
    op("conv1.forward", "conv2d_forward", map, clip);
    op("conv1.weights", "conv2d_weight_grad", stem, map);
    op("norm", "batch_norm_forward", map, map);
    op("conv2.forward", "conv2d_forward", wide, map);
    op("conv2.weights", "conv2d_weight_grad", filters, wide);
    op("conv2.data", "conv2d_data_grad", map, wide);
    op("linear", "linear_forward", tokens, tokens);

    const std::vector<LibraryWork> work = library_work(program);
    ASSERT_EQ(work.size(), 4u);
    for (int index = 0; index < 2; ++index) {
        EXPECT_EQ(work[static_cast<size_t>(index)].columns, 288);
        EXPECT_EQ(work[static_cast<size_t>(index)].inner, 144);
    }
    EXPECT_EQ(work[2].op, "conv2.data");
    EXPECT_EQ(work[2].columns, 144);
    EXPECT_EQ(work[2].inner, 288);
    EXPECT_TRUE(work[2].halves);
    EXPECT_EQ(work[3].kind, "linear_forward");
    EXPECT_FALSE(work[3].halves);
    EXPECT_EQ(work[3].flops, 7);
    EXPECT_EQ(work[3].bytes, 9);
}

} // namespace
} // namespace scene::counters
