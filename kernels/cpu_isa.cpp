#include "kernels/cpu_isa.h"

#include <cstdlib>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <dnnl.h>

#include "kernels/device.h"
#include "kernels/error.h"

// SCENE_ISAS(X) is X(v2) X(v3) ..., from the Makefile. kernels/cpu/variant.cpp defines these objects.
#define DECLARE(isa) extern "C" const scene::CpuKernels scene_cpu_kernels_##isa;
SCENE_ISAS(DECLARE)
#undef DECLARE

namespace scene {
namespace {

struct Feature {
    std::string_view isa, name;
    bool there;
};

/// What each level adds to the one below. The rest of v2 (CMPXCHG16B, LAHF, SSE3) is not checked: every processor with
/// SSE4.2 has it.
std::vector<Feature> features() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned eax = 0, ebx = 0, basic = 0, extended = 0, edx = 0;
    __get_cpuid(1, &eax, &ebx, &basic, &edx);
    __get_cpuid(0x80000001, &eax, &ebx, &extended, &edx);
// The builtin takes only a literal. It also checks that the operating system saves the wide registers.
#define FEATURE(isa, name)                                                                                             \
    { isa, name, __builtin_cpu_supports(name) != 0 }
    return {FEATURE("v2", "ssse3"),
            FEATURE("v2", "sse4.1"),
            FEATURE("v2", "sse4.2"),
            FEATURE("v2", "popcnt"),
            FEATURE("v3", "avx"),
            FEATURE("v3", "avx2"),
            FEATURE("v3", "bmi"),
            FEATURE("v3", "bmi2"),
            FEATURE("v3", "fma"),
            {"v3", "f16c", (basic & bit_F16C) != 0}, // the builtin of older compilers lacks these three
            {"v3", "movbe", (basic & bit_MOVBE) != 0},
            {"v3", "lzcnt", (extended & bit_LZCNT) != 0},
            FEATURE("v4", "avx512f"),
            FEATURE("v4", "avx512bw"),
            FEATURE("v4", "avx512cd"),
            FEATURE("v4", "avx512dq"),
            FEATURE("v4", "avx512vl")};
#undef FEATURE
#else
    return {};
#endif
}

std::string names_of(const std::vector<const CpuKernels*>& kernels) {
    std::vector<std::string_view> names;
    for (const CpuKernels* one : kernels) names.push_back(one->isa);
    return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<const CpuKernels*> usable() {
    std::vector<const CpuKernels*> out;
    for (const CpuKernels* one : built_cpu_kernels())
        if (lacking_for(one->isa).empty()) out.push_back(one);
    return out;
}

void hold_onednn_to(std::string_view isa) {
    // Ignored by a oneDNN that is built without this control.
    if (isa == "v2") dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    if (isa == "v3") dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
}

const CpuKernels& choose() {
    const char* wish = std::getenv("SCENE_ISA");
    if (!wish || !*wish) {
        const std::vector<const CpuKernels*> possible = usable();
        if (possible.empty()) {
            const std::string_view lowest = built_cpu_kernels().front()->isa;
            fail("this processor lacks {}, which x86-64-{} has; build scene on it with make ISAS=native ARCH=native",
                 lacking_for(lowest), lowest);
        }
        return *possible.back();
    }
    std::string_view name = wish;
    if (name.starts_with("x86-64-")) name.remove_prefix(7);
    for (const CpuKernels* one : built_cpu_kernels()) {
        if (one->isa != name) continue;
        if (const std::string lacking = lacking_for(name); !lacking.empty())
            fail("SCENE_ISA={}: this processor lacks {}; choose from {} or leave it unset", wish, lacking,
                 names_of(usable()));
        hold_onednn_to(name);
        return *one;
    }
    fail("SCENE_ISA={}: this build has {}; choose one of them or leave it unset", wish, names_of(built_cpu_kernels()));
}

} // namespace

const std::vector<const CpuKernels*>& built_cpu_kernels() {
#define ADDRESS(isa) &scene_cpu_kernels_##isa,
    static const std::vector<const CpuKernels*> all = {SCENE_ISAS(ADDRESS)};
#undef ADDRESS
    return all;
}

std::string lacking_for(std::string_view isa) {
    std::vector<std::string_view> lacking;
    for (const Feature& feature : features())
        if (feature.isa <= isa && !feature.there && isa != "native") lacking.push_back(feature.name);
    return fmt::format("{}", fmt::join(lacking, " "));
}

const CpuKernels& chosen_cpu_kernels() {
    static const CpuKernels& chosen = choose();
    return chosen;
}

std::unique_ptr<Device> make_cpu_device(int threads) { return chosen_cpu_kernels().make_device(threads); }

} // namespace scene
