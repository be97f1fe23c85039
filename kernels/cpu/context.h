#pragma once

// What the CPU's ops may use besides their operands.

#include "kernels/op.h"

namespace scene::cpu {

class ConvolutionPlans;
class LogMelPlans;

/// For `scratch_bytes`.
struct Planning {
    int threads;
    ConvolutionPlans& convolutions;
};

/// For `run`.
struct Context {
    int threads;
    ConvolutionPlans& convolutions;
    LogMelPlans& log_mels;
};

} // namespace scene::cpu
