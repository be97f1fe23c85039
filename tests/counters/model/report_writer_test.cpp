// The files of a report, and what it knows of a GPU.

#include <gtest/gtest.h>

#include <map>

#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/files/json.h"
#include "tests/counters/model/constants.h"
#include "tests/counters/model/html_page.h"
#include "tests/counters/model/report_writer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene::counters {
namespace {

using test::TemporaryFolder;

TEST(ReportWriter, WritesAPageAndItsFiguresAsJson) {
    const TemporaryFolder folder;
    const ReportWriter writer("h100", folder / "no-build");
    StepCounters counters{.program = "step", .precision = "fp16", .batch = 256, .kernels = {KernelCounters{}}};
    KernelCounters& kernel = counters.kernels.front();
    kernel.op = "adam", kernel.kind = "adam", kernel.symbol = "_Z1k", kernel.grid = {1, 1, 1},
    kernel.block = {32, 1, 1};
    kernel.distinct_bytes_read = 3e9;
    const StepReport report = writer.write(counters, {.library = {}, .other_bytes = 1.5e9, .setup = {}}, folder.path());
    EXPECT_EQ(test::read_text(folder / "step_fp16.html"), html_page(report, source_in_current_folder));
    const nlohmann::json json = parse_json(test::read_text(folder / "step_fp16.predicted.json"));
    EXPECT_NEAR(json.at("predicted_step_us").get<double>(), 1000, 3);
    EXPECT_NEAR(json.at("least_as_planned_us").get<double>(), 500, 1e-6);
    EXPECT_EQ(json.at("kernels").at(0).at("predicted_bound"), "memory");
    EXPECT_TRUE(json.at("kernels").at(0).at("predicted_issue_us").is_null());
}

TEST(GpuProperties, OfAnH100) {
    const GpuProperties gpu = gpu_properties("h100");
    EXPECT_EQ(gpu.architecture(), 90);
    EXPECT_EQ(gpu.multiprocessors, 132);
    EXPECT_EQ(gpu.warps, 64);
    EXPECT_EQ(gpu.blocks, 32);
    EXPECT_EQ(gpu.shared_bytes, 228 * 1024);
    EXPECT_DOUBLE_EQ(gpu.dram_bytes_per_s, 3.0e12);
    EXPECT_DOUBLE_EQ(gpu.half_flops_per_s, 798e12);
    EXPECT_NEAR(gpu.clock_hz, 1.98e9, 1e6);
}

/// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
TEST(GpuProperties, EveryProfileHasTheLimitsOfItsCapability) {
    struct Limits {
        int warps, blocks, shared_kib;
    };
    const std::map<int, Limits> limits = {
        {80, {64, 32, 164}}, {89, {48, 24, 100}}, {90, {64, 32, 228}}, {100, {64, 32, 228}}, {120, {48, 24, 100}}};
    int known = 0;
    for (const SustainedRates& of_device : rates) {
        const std::string name(of_device.device);
        try {
            cuda::device_profile(name);
        } catch (const Error&) { continue; } // rates without a profile
        ++known;
        const GpuProperties gpu = gpu_properties(name);
        const Limits& expected = limits.at(gpu.architecture());
        EXPECT_EQ(gpu.warps, expected.warps) << name;
        EXPECT_EQ(gpu.blocks, expected.blocks) << name;
        EXPECT_EQ(gpu.shared_bytes, 1024 * expected.shared_kib) << name;
        EXPECT_EQ(gpu.registers, 65536) << name;
        EXPECT_GT(gpu.l2_bytes_per_s, gpu.dram_bytes_per_s) << name;
    }
    EXPECT_GT(known, 0);
}

TEST(GpuProperties, AnUnknownGpuIsAnErrorThatListsTheKnown) {
    EXPECT_TRUE(test::fails_with([] { gpu_properties("voodoo2"); },
                                 {"no rates are known of the GPU 'voodoo2'", "known are h100, h200"}));
}

} // namespace
} // namespace scene::counters
