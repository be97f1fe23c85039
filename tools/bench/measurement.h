#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "tools/bench/benchmark.h"
#include "tools/bench/calibration.h"

namespace scene {

/// One benchmark's figures.
struct Measurement {
    std::string name;
    int64_t clips = 0;
    double flops = 0, bytes_moved = 0;
    std::vector<double> seconds; ///< one per repetition
    /// CPU: peak resident memory of the measuring process, libraries included. GPU: device memory that the Device has
    /// allocated.
    uint64_t peak_bytes = 0;
    std::string device; ///< name and libraries
    /// best_of right before and right after the benchmark; absent if it ran `in_process`.
    std::optional<Calibration> calibration;
    ConvReport convolutions;      ///< empty on the CPU
    std::vector<OpSamples> ops;   ///< empty unless asked for
    bool all_ops = true;          ///< of a step, not only those of MeasurementSettings::op
    std::vector<GraphNode> graph; ///< empty unless asked for

    /// All ops together, or the step if only some are known.
    double seconds_of_ops() const;

    double median_seconds() const;
    double clips_per_second() const { return static_cast<double>(clips) / median_seconds(); }
    double gflops() const { return flops / median_seconds() / 1e9; }
    double gb_per_s() const { return bytes_moved / median_seconds() / 1e9; }
};

/// The least time that the op can take by the roofline model, as a share of its median.
double roofline_share(const OpSamples& op, const Calibration& calibration);

struct MeasurementSettings {
    std::optional<CudaSettings> cuda; ///< absent: the CPU
    int threads = 0;
    int repetitions = 7;
    bool ops = false;
    uint64_t seed = 1234;
    bool in_process = false; ///< no child process and no calibration, so that a profiler sees the benchmark alone
    std::string op = {};     ///< with `ops`, only those whose name matches this pattern; empty: all
    bool graph = false;      ///< also the nodes of the graph; a GPU only
};

/// cuda_unavailable_reason() of a child process: a process that has initialised CUDA cannot fork others that use it.
std::string cuda_unavailable_reason_in_child();

/// The device that benchmarks run on.
std::unique_ptr<Device> make_device(const MeasurementSettings& settings);

/// Measures one benchmark. Two repetitions warm up and are not counted. Unless `in_process`, it runs in a child
/// process, so that the peak memory is its own, between two calibrations. On the CPU each calibration has a child of
/// its own. Because of fork(), the caller must not have run several threads or used a GPU before.
Measurement measure(const std::string& name, const MeasurementSettings& settings);

} // namespace scene
