#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "kernels/device.h"
#include "model/program.h"

namespace scene {

/// One op of a step and its times, one per repetition.
struct OpSamples {
    std::string name, kind;
    Phase phase = Phase::Forward;
    double flops = 0, bytes_moved = 0;
    /// Of the arena, while the op runs: the bytes in use, and the end of the last one of them. Both count the
    /// variables, which lie at the arena's start.
    double arena_live = 0, arena_end = 0;
    std::vector<double> seconds;
};

/// Something that `scene bench` measures, loaded and ready to repeat.
class Benchmark {
public:
    virtual ~Benchmark() = default;
    /// Prepares one repetition; not timed.
    virtual void prepare() {}
    /// One repetition: a step over `clips` clips. Returns when the device is done.
    virtual void run() = 0;
    virtual int64_t clips() const = 0;
    /// Of one repetition. A convolution counts those of the direct method, whatever algorithm runs.
    virtual double flops() const = 0;
    /// Of one repetition, if nothing stays in a cache.
    virtual double bytes_moved() const = 0;
    /// Times ops alone, in each of so many repetitions: those whose name matches `pattern`, with * and ?; empty: all.
    /// The others run too, so that memory holds what it does in a step. Empty for a benchmark without ops.
    virtual std::vector<OpSamples> profile(int repetitions, const std::string& pattern) = 0;
    /// The nodes of the graph that replays a step. Error on the CPU. Empty for a benchmark that is no step.
    virtual std::vector<GraphNode> graph_nodes() { return {}; }
};

/// The benchmarks that run by default on the CPU, or with larger batches on a GPU. Any batch from 1 to 65535 can be
/// named:
/// - fcnn_train_b16, fcnn_train_augmented_b16, fcnn_infer_b16, se_trans_...: a step of the audio-only network at the
///   paper's full size, on random features
/// - logmel, logmel_b256: log-mel features of 16 or of 256 clips of noise
/// - logmel_cufft_b256: the same with cuFFT, a baseline for the log-mel kernel; on a GPU only
/// - conv_250x32x144_b256: a single 3x3 convolution with stride 1, of as many channels to as many (height x width x
///   channels): forward, data gradient, weight gradient; never by default
const std::vector<std::string>& benchmark_names(bool gpu);

/// Prepares and runs one repetition; returns the seconds that run() took.
double time_once(Benchmark& benchmark);

/// Whether there is a benchmark of this name, in the list or not.
bool is_benchmark(const std::string& name);

/// Throws Error for an unknown name.
std::unique_ptr<Benchmark> make_benchmark(std::string_view name, Device& device, uint64_t seed);

} // namespace scene
