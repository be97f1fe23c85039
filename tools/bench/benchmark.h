#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/device.h"
#include "model/program.h"

namespace scene {

/// One op of a step and its times, one per repetition.
struct OpSamples {
    std::string name, kind;
    Phase phase = Phase::Forward;
    double flops = 0, bytes_moved = 0;
    std::vector<double> seconds;
};

/// Something that `scene bench` measures, loaded and ready to repeat.
class Benchmark {
public:
    virtual ~Benchmark() = default;
    /// What precedes a repetition and is not timed.
    virtual void prepare() {}
    /// One repetition: a step over `clips` clips. Returns when the device is done.
    virtual void run() = 0;
    virtual int64_t clips() const = 0;
    /// Of one repetition; convolutions count by the direct method, whatever algorithm runs.
    virtual double flops() const = 0;
    /// Of one repetition, if nothing stays in a cache.
    virtual double bytes_moved() const = 0;
    /// The ops of a step, timed one by one over so many repetitions; empty for a single op.
    virtual std::vector<OpSamples> profile(int repetitions) = 0;
};

/// fcnn_train_b16, fcnn_train_augmented_b16, se_trans_train_b16, se_trans_train_b64, fcnn_infer_b16, fcnn_infer_b1,
/// se_trans_infer_b16: a step of the audio-only network at the paper's full size, batch and features drawn at random;
/// any other batch can be named in the same way. logmel: features of 16 clips; logmel_b256 of 256. On a GPU larger
/// batches take their places, and logmel_cufft_b256 is there to compare the log-mel kernel with.
const std::vector<std::string>& benchmark_names(bool gpu);

/// Seconds of one repetition.
double time_once(Benchmark& benchmark);

/// Whether there is a benchmark of this name, in the list or not.
bool is_benchmark(const std::string& name);

/// Fails for an unknown name.
std::unique_ptr<Benchmark> make_benchmark(std::string_view name, Device& device, uint64_t seed);

} // namespace scene
