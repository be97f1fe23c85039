#pragma once

// The steps whose kernels are counted, at their real shapes.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/runtime.h"
#include "kernels/tensor.h"
#include "model/program.h"
#include "tests/counters/access_counter.h"
#include "tests/counters/kernel_counters.h"
#include "tests/counters/model/step_report.h"

namespace scene::counters {

struct StepSettings {
    DType activation = DType::F16;
    int64_t batch = 256;
    double width = 1; ///< of the network; 1 is the paper's
    Fusions fusions = Fusions::Never;
    CountingLimits limits;
};

/// An op of a step and the bytes that its program says it moves (Op::bytes).
struct PlannedOp {
    std::string name, kind;
    double bytes = 0;
    bool by_library = false; ///< wholly or in part: there are fewer bytes to count
};

struct CountedStep {
    StepCounters counters;
    std::vector<PlannedOp> plan; ///< empty for what is no program
    StepPlan time_plan;          ///< what the libraries compute, and what the other ops move at least
};

/// Networks with CAS2023's shape: fcnn_train, fcnn_infer, se_trans_train, se_trans_infer, fcnn_train_augmented (with
/// deltas and decoupled weight decay). logmel is the front end; experiment has the ops that System #4 runs between its
/// stages. Together they launch every kernel.
const std::vector<std::string>& step_names();

/// Throws Error for an unknown name.
CountedStep count_step(const std::string& name, const StepSettings& settings);

} // namespace scene::counters
