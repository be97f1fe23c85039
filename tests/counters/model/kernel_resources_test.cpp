// What ptxas prints, read back.

#include <gtest/gtest.h>

#include "tests/counters/model/kernel_resources.h"

namespace scene::counters {
namespace {

// `nvcc -Xptxas -v` of CUDA 13.0, shortened: a kernel with spills that calls a function, and the same for another GPU.
constexpr const char* text = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN5scene4cuda49_GLOBAL__N__4722e53e_16_cuda_backward_cu_210752ce5weighIfEEvPT_' for 'sm_90'
ptxas info    : Function properties for _ZN5scene4cuda49_GLOBAL__N__4722e53e_16_cuda_backward_cu_210752ce5weighIfEEvPT_
    16 bytes stack frame, 48 bytes spill stores, 56 bytes spill loads
ptxas info    : Function properties for __internal_trig_reduction_slowpathd
    40 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 512 bytes smem, 16 bytes cumulative stack size
ptxas info    : Compile time = 24.154 ms
ptxas info    : Compiling entry function '_ZN5scene4cuda49_GLOBAL__N__4722e53e_16_cuda_backward_cu_210752ce5weighIfEEvPT_' for 'sm_80'
ptxas info    : Function properties for _ZN5scene4cuda49_GLOBAL__N__4722e53e_16_cuda_backward_cu_210752ce5weighIfEEvPT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers
)";
// As g++ mangles the same kernel.
constexpr const char* symbol = "_ZN5scene4cuda12_GLOBAL__N_15weighIfEEvPT_";
constexpr const char* source = "kernels/weigh/cuda.cu";

TEST(KernelResources, RegistersSpillsAndSharedMemoryOfEachGpu) {
    ResourceTable table;
    table.add(source, text);
    const KernelResources expected{.registers = 128,
                                   .stack_bytes = 16,
                                   .spill_store_bytes = 48,
                                   .spill_load_bytes = 56,
                                   .static_shared_bytes = 512};
    EXPECT_EQ(table.find(symbol, 90, {}), expected);
    EXPECT_EQ(table.find(symbol, 80, {}), KernelResources{.registers = 96});
    EXPECT_EQ(table.find(symbol, 100, {}), std::nullopt);
    EXPECT_EQ(table.find("_Z5otherv", 90, {}), std::nullopt);
}

TEST(KernelResources, TheSourceDecidesBetweenKernelsOfOneName) {
    std::string other = text;
    for (size_t at = 0; (at = other.find("Used 128", at)) != std::string::npos;) other.replace(at, 8, "Used 40");
    ResourceTable table;
    table.add(source, text);
    table.add("kernels/other/cuda.cu", other);
    EXPECT_EQ(table.find(symbol, 90, {}), std::nullopt) << "two that differ";
    EXPECT_EQ(table.find(symbol, 90, {source, "kernels/header.h"})->registers, 128);
    EXPECT_EQ(table.find(symbol, 90, {"kernels/other/cuda.cu"})->registers, 40);
}

TEST(KernelResources, ABuildWithoutNvccHasNone) { EXPECT_TRUE(resources_of_build("no/such/folder").empty()); }

} // namespace
} // namespace scene::counters
