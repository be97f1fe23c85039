#pragma once

#include <filesystem>

#include "tests/counters/model/machine_code.h"
#include "tests/counters/model/step_report.h"

namespace scene::counters {

/// Reports on steps of the kernels that a build folder has: what ptxas said of them, and their machine code.
class ReportWriter {
public:
    /// Throws Error for a GPU without a profile or rates (gpu_properties.h).
    ReportWriter(const std::string& gpu, const std::filesystem::path& build);

    /// Writes <program>_<precision>.html and <program>_<precision>.predicted.json to `folder`, which exists. Sources
    /// are read below the current folder. Throws Error if a file cannot be written.
    StepReport write(const StepCounters& counters, const StepPlan& plan, const std::filesystem::path& folder) const;

private:
    GpuProperties gpu_;
    ResourceTable resources_;
    MachineCode code_;
};

} // namespace scene::counters
