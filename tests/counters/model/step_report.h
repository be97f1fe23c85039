#pragma once

// A step's counters with what follows from them: resources, occupancy, predicted times.

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/counters/model/library_work.h"
#include "tests/counters/model/time_model.h"

namespace scene::counters {

struct KernelReport {
    KernelCounters counters;
    std::optional<KernelResources> resources;       ///< absent without nvcc
    std::optional<IssuedInstructions> instructions; ///< absent without nvdisasm
    PredictedTime time;
};

/// What the plan of a step says, whatever the kernels do.
struct StepPlan {
    std::vector<LibraryWork> library;
    double other_bytes = 0;      ///< that all other ops read and write, each operand once
    std::set<std::string> setup; ///< ops that run once, before the first step
};

StepPlan plan_of(const Program& program);

struct StepReport {
    StepCounters counters; ///< without its kernels
    GpuProperties gpu;
    StepPlan plan;
    std::vector<KernelReport> kernels; ///< in the order of their launches

    double kernel_seconds() const;  ///< predicted
    double library_seconds() const; ///< predicted
    double seconds() const { return kernel_seconds() + library_seconds(); }
    /// The least possible: the library's arithmetic at the device's rate and the other ops' bytes over its bandwidth.
    double floor_seconds() const;
};

/// Finds a kernel's instructions; nothing if they are not known.
using InstructionCounter = std::function<std::optional<IssuedInstructions>(const KernelCounters&)>;

/// Without the kernels of setup.
StepReport report_of(const StepCounters& counters, const StepPlan& plan, const GpuProperties& gpu,
                     const ResourceTable& resources, const InstructionCounter& instructions = {});

/// Source files of the kernel's accesses, without repetitions.
std::vector<std::string> sources_of(const KernelCounters& kernel);

/// Predicted time of a part of the step, such as the backward pass of all batch norms.
struct GroupTime {
    std::string group;
    int kernels = 0;
    double seconds = 0; ///< predicted
};

/// The parts in a fixed order, empty ones too. Together they are the step.
std::vector<GroupTime> groups_of(const StepReport& report);

/// All launches of a kernel for one kind of op.
struct KernelTime {
    std::string kind, kernel; ///< the record's name, the short name
    int launches = 0;
    double seconds = 0;                    ///< predicted, all launches
    const KernelReport* longest = nullptr; ///< the launch that takes longest
};

/// The longest first.
std::vector<KernelTime> longest_kernels(const StepReport& report);

/// "normalize_backward<__half, 8>": without return type, namespaces and parameters.
std::string short_name(const std::string& kernel);

/// A table for the terminal: all kernels, the library's ops, the sum.
std::string table_text(const StepReport& report);
/// The tables of docs/gpu/predictions.md for this step: its parts, and the kernels that take longest.
std::string markdown(const StepReport& report);
/// Everything, indented. The keys of predictions begin with "predicted".
std::string json_of(const StepReport& report);

} // namespace scene::counters
