// [runtime], from the configuration to the device.

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tools/cli/options.h"

namespace scene::test {
namespace {

RuntimeSettings runtime(const std::vector<std::string>& overrides, const CommonOptions& flags = {}) {
    return load_config(ConfigOptions{"", overrides}, flags).runtime;
}

TEST(RuntimeSettings, ReachTheGpu) {
    const CudaSettings plain = cuda_settings(runtime({}));
    EXPECT_EQ(plain.precision, Precision::Fp32);
    EXPECT_TRUE(plain.deterministic);
    EXPECT_EQ(plain.fusions, Fusions::Quickest);
    EXPECT_EQ(plain.autotune, Autotune::Precompiled);
    EXPECT_EQ(cuda_settings(runtime({"runtime.precision=fp16"})).precision, Precision::Fp16);
    EXPECT_EQ(cuda_settings(runtime({"runtime.precision=bf16"})).precision, Precision::Bf16);
    EXPECT_EQ(cuda_settings(runtime({"runtime.precision=tf32"})).precision, Precision::Tf32);
    EXPECT_FALSE(cuda_settings(runtime({"runtime.deterministic=false"})).deterministic);
    EXPECT_EQ(cuda_settings(runtime({"runtime.fusions=never"})).fusions, Fusions::Never);
    EXPECT_EQ(cuda_settings(runtime({"runtime.fusions=always"})).fusions, Fusions::Always);
    EXPECT_EQ(cuda_settings(runtime({"runtime.autotune=full"})).autotune, Autotune::Full);
    EXPECT_EQ(plain.autotune_seconds, 60);
    EXPECT_EQ(cuda_settings(runtime({"runtime.autotune=full"})).autotune_seconds, 600);
    EXPECT_EQ(cuda_settings(runtime({"runtime.autotune_seconds=7"})).autotune_seconds, 7);
    EXPECT_EQ(cuda_settings(runtime({"runtime.autotune_seconds=0"})).autotune_seconds, 0) << "no limit";
}

TEST(RuntimeSettings, ReachTheCpu) {
    const auto name = [](const std::vector<std::string>& overrides, const CommonOptions& flags = {}) {
        return open_device(runtime(overrides, flags), true)->info().name;
    };
    EXPECT_NE(name({"runtime.device=cpu", "runtime.threads=1"}).find(", 1 thread"), std::string::npos);
    EXPECT_NE(name({"runtime.device=cpu", "runtime.threads=3"}).find(", 3 threads"), std::string::npos);
    EXPECT_NE(
        name({"runtime.device=cuda", "runtime.threads=3"}, {.device = "cpu", .precision = {}, .threads = 2, .seed = {}})
            .find(", 2 threads"),
        std::string::npos)
        << "flags count before the file";
    for (const std::string precision : {"fp16", "bf16"})
        EXPECT_TRUE(fails_with(
            [&] {
                name({"runtime.device=cpu", "runtime.precision=" + precision});
            },
            {precision.c_str(), "fp32 only"}));
    if (!cuda_unavailable_reason().empty()) {
        EXPECT_TRUE(fails_with([&] { name({"runtime.device=cuda"}); }, {"--device cuda", "use --device cpu or auto"}));
    }
}

TEST(RuntimeSettings, TheSeedFlagIsTrainings) {
    const RunConfig config =
        load_config(ConfigOptions{"", {"split.seed=3"}}, {.device = {}, .precision = {}, .threads = {}, .seed = 77});
    EXPECT_EQ(config.training.seed, 77u);
    EXPECT_EQ(config.split.seed, 3u);
}

} // namespace
} // namespace scene::test
