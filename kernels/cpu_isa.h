#pragma once

// The CPU kernels (kernels/cpu and the ops' cpu*.cpp) are compiled once for each x86-64 level in the Makefile's ISAS:
// v2 (SSE4.2), v3 (AVX2 and FMA), v4 (AVX-512), as the psABI names them. The level to run is chosen when the program
// first needs a CPU device, so that one binary is portable and still uses the widest vectors of each processor. All
// other code is compiled for the Makefile's ARCH, x86-64-v2 by default.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace scene {

class Device;

/// The CPU kernels, compiled for one level.
struct CpuKernels {
    std::string_view isa; ///< "v2", "v3", "v4", or "native": whatever the compiling machine has
    int lanes;            ///< floats per vector register
    std::unique_ptr<Device> (*make_device)(int threads);
    /// A benchmark of peak arithmetic: `rounds` times `flop_per_round` FLOP of independent multiply-adds in registers.
    /// Returns their sum, so that nothing is optimised away.
    float (*multiply_add)(int64_t rounds);
    int64_t flop_per_round;
};

/// All levels of this build, in the order of ISAS: the widest last.
const std::vector<const CpuKernels*>& built_cpu_kernels();

/// The features of the level that this processor lacks, such as "avx512bw avx512vl"; empty if it has them all. Always
/// empty for "native".
std::string lacking_for(std::string_view isa);

/// The widest level that this processor supports, or the one that the environment variable SCENE_ISA names ("v3" or
/// "x86-64-v3"), which then limits oneDNN too. The choice is made once. Throws Error if
/// - SCENE_ISA names a level that is not in this build, or that the processor does not support;
/// - the processor does not support even the lowest level of this build.
const CpuKernels& chosen_cpu_kernels();

} // namespace scene
