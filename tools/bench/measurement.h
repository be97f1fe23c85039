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
    uint64_t peak_bytes = 0;     ///< largest resident memory of the process that measured it, libraries included; on a
                                 ///< GPU the device memory that the device holds
    std::string device;          ///< name and libraries
    std::optional<Calibration> calibration; ///< the better one of right before and right after; not in process
    ConvReport convolutions;                ///< on a GPU
    std::vector<OpSamples> ops;             ///< only when asked for

    double median_seconds() const;
    double clips_per_second() const { return static_cast<double>(clips) / median_seconds(); }
    double gflops() const { return flops / median_seconds() / 1e9; }
    double gb_per_s() const { return bytes_moved / median_seconds() / 1e9; }
};

struct MeasurementSettings {
    std::optional<CudaSettings> cuda; ///< absent: the CPU
    int threads = 0;
    int repetitions = 7;
    bool ops = false;
    uint64_t seed = 1234;
    bool in_process = false; ///< no child and no calibration: a profiler sees the benchmark, and it alone
};

/// cuda_unavailable_reason, found out by a process of its own: a process that has looked at a GPU cannot fork others
/// that use it.
std::string cuda_unavailable_reason_in_child();

/// What benchmarks run on.
std::unique_ptr<Device> make_device(const MeasurementSettings& settings);

/// Measures one benchmark in a process of its own, so that its peak memory is its own, between two calibrations, which
/// on the CPU have their own processes too. Two repetitions warm up and are not counted. Unless it is `in_process`, it
/// must be called before this process has run anything in several threads or on a GPU.
Measurement measure(const std::string& name, const MeasurementSettings& settings);

} // namespace scene
