#pragma once

// The CPU kernels (kernels/cpu and the ops' cpu.cpp) is compiled once for each level of x86-64 of the Makefile's ISAS:
// v2 (SSE4.2), v3 (AVX2 and FMA), v4 (AVX-512), as the psABI names them. One of them is chosen when the program first
// needs it, so that one program runs everywhere and is fast everywhere. Everything else is compiled for the lowest
// level.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace scene {

class Device;

/// One compilation of kernels/cpu.
struct CpuKernels {
    std::string_view isa; ///< "v3"; "native" is whatever the compiling machine had
    int lanes;            ///< floats in a vector
    std::unique_ptr<Device> (*make_device)(int threads);
    /// Independent multiply-adds on registers, `flop_per_round` FLOP a round: what the arithmetic units do at best.
    float (*multiply_add)(int64_t rounds);
    int64_t flop_per_round;
};

/// All of this build, the widest last.
const std::vector<const CpuKernels*>& built_cpu_kernels();

/// Empty where this processor has all that the level needs; else what it lacks, "avx512bw avx512vl".
std::string lacking_for(std::string_view isa);

/// The widest that this processor has, or the one that the environment variable SCENE_ISA names ("v3"), to which oneDNN
/// is then held too. The choice is made once. Error: SCENE_ISA names none of this build or more than the processor has;
/// the processor has not even the lowest.
const CpuKernels& chosen_cpu_kernels();

} // namespace scene
