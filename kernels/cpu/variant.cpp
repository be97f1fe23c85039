// The table that this compilation of kernels/cpu exports. All its other symbols become local when its objects are
// joined (kernels/cpu/cpu.mk), so that the linker never takes an inline function of one ISA level for another's.

#include "kernels/cpu/variant.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu_isa.h"

namespace scene::cpu {
namespace {

// Enough independent sums to hide the latency of a multiply-add: 24 of AVX-512's 32 registers, 12 of 16 before it.
constexpr int sums = lanes == 16 ? 24 : 12;

/// The unrolled loops index `sum` by constants, so that it lives in registers.
float multiply_add(int64_t rounds) {
    Vec sum[sums];
    Vec factor, addend;
    for (int lane = 0; lane < lanes; ++lane) factor[lane] = 0.999f, addend[lane] = 0.001f * static_cast<float>(lane);
#pragma GCC unroll 32
    for (int i = 0; i < sums; ++i) sum[i] = addend + static_cast<float>(i);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
        for (int i = 0; i < sums; ++i) sum[i] = sum[i] * factor + addend;
    }
    float total = 0;
#pragma GCC unroll 32
    for (int i = 0; i < sums; ++i)
        for (int lane = 0; lane < lanes; ++lane) total += sum[i][lane];
    return total;
}

std::unique_ptr<Device> make_device(int threads) { return std::make_unique<CpuDevice>(threads); }

} // namespace
} // namespace scene::cpu

#define JOINED_OF(a, b) a##b
#define JOINED(a, b) JOINED_OF(a, b)

extern "C" const scene::CpuKernels JOINED(scene_cpu_kernels_, SCENE_ISA);
const scene::CpuKernels JOINED(scene_cpu_kernels_, SCENE_ISA) = {scene::cpu::isa, scene::cpu::lanes,
                                                                 scene::cpu::make_device, scene::cpu::multiply_add,
                                                                 2 * scene::cpu::lanes* scene::cpu::sums};
