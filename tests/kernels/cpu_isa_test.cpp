#include "kernels/cpu_isa.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "kernels/device.h"

namespace scene::test {
namespace {

/// The feature flags of the first processor, as Linux reports them.
std::set<std::string> processor_flags() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (!line.starts_with("flags")) continue;
        std::istringstream words(line.substr(line.find(':') + 1));
        return {std::istream_iterator<std::string>(words), {}};
    }
    return {};
}

TEST(CpuIsa, ALevelIsUsableWhereTheProcessorHasWhatThePsAbiListsForIt) {
    const std::set<std::string> flags = processor_flags();
    const auto has = [&](const std::vector<const char*>& wanted) {
        return std::all_of(wanted.begin(), wanted.end(), [&](const char* flag) { return flags.count(flag) == 1; });
    };
    const bool v2 = has({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"});
    const bool v3 = v2 && has({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"});
    const bool v4 = v3 && has({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
    EXPECT_EQ(lacking_for("v2").empty(), v2) << lacking_for("v2");
    EXPECT_EQ(lacking_for("v3").empty(), v3) << lacking_for("v3");
    EXPECT_EQ(lacking_for("v4").empty(), v4) << lacking_for("v4");
    EXPECT_EQ(lacking_for("native"), "");
}

TEST(CpuIsa, TheWidestUsableOneIsChosenUnlessTheEnvironmentNamesOne) {
    const char* wish = std::getenv("SCENE_ISA");
    const CpuKernels* widest = nullptr;
    for (const CpuKernels* kernels : built_cpu_kernels())
        if (lacking_for(kernels->isa).empty()) widest = kernels;
    ASSERT_NE(widest, nullptr);
    EXPECT_EQ(chosen_cpu_kernels().isa, wish && *wish ? wish : widest->isa);
}

TEST(CpuIsa, EachIsCompiledForItsOwnVectors) {
    for (const CpuKernels* kernels : built_cpu_kernels()) {
        if (kernels->isa == "v2") { EXPECT_EQ(kernels->lanes, 4); }
        if (kernels->isa == "v3") { EXPECT_EQ(kernels->lanes, 8); }
        if (kernels->isa == "v4") { EXPECT_EQ(kernels->lanes, 16); }
        if (!lacking_for(kernels->isa).empty()) continue;
        const std::string name = kernels->make_device(1)->info().name;
        EXPECT_NE(name.find(std::string(kernels->isa) + ", 1 thread"), std::string::npos) << name;
        EXPECT_GT(kernels->flop_per_round, 0);
    }
}

} // namespace
} // namespace scene::test
