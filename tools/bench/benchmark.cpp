#include "tools/bench/benchmark.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include <fnmatch.h>

#include "kernels/cuda/cufft/log_mel_baseline.h"
#include "kernels/device_buffer.h"
#include "model/memory_plan.h"
#include "model/step_runner.h"
#include "tools/bench/all_augmentation.h"
#include "tools/bench/conv_benchmark.h"
#include "tools/bench/random_values.h"

namespace scene {
namespace {

/// A training or inference step. Two batches alternate, so that no repetition finds its input in the cache.
class StepBenchmark final : public Benchmark {
public:
    StepBenchmark(Device& device, const StepConfig& config, Mode mode, uint64_t seed)
        : seed_(seed), mode_(mode), batch_(config.batch),
          runner_(device, config,
                  mode == Mode::Training ? StepPrograms{.training = {config.batch}}
                                         : StepPrograms{.training = {}, .inference = config.batch}),
          features_(random_values(config.rows * config.model.frames * config.model.bands, -70.0f, 0.0f, seed)) {
        runner_.bind_features(features_);
        runner_.initialize(seed);
        std::vector<int32_t> order(static_cast<size_t>(config.rows));
        std::iota(order.begin(), order.end(), 0);
        runner_.begin(order);
        std::vector<float> target(static_cast<size_t>(config.rows * config.model.classes), 0.0f);
        for (int64_t row = 0; row < config.rows; ++row)
            target[static_cast<size_t>(row * config.model.classes + row % config.model.classes)] = 1.0f;
        runner_.set_targets(target);
        next_batch();
        if (mode_ == Mode::Training)
            runner_.prepare_training();
        else
            runner_.prepare_inference();
    }

    void prepare() override { next_batch(); }
    void run() override {
        runner_.executor().run(program());
        runner_.device().synchronize();
    }
    int64_t clips() const override { return batch_; }
    double flops() const override {
        return program().flops(Phase::Forward) + program().flops(Phase::Backward) + program().flops(Phase::Update);
    }
    double bytes_moved() const override { return program().bytes_moved(); }
    std::vector<OpSamples> profile(int repetitions, const std::string& pattern) override {
        std::function<bool(const Op&)> timed;
        if (!pattern.empty()) timed = [&](const Op& op) { return fnmatch(pattern.c_str(), op.name.c_str(), 0) == 0; };
        std::vector<OpSamples> samples;
        for (int repetition = 0; repetition < repetitions; ++repetition) {
            next_batch();
            const std::vector<OpTime> times = runner_.executor().profile(program(), timed);
            for (size_t index = 0; index < times.size(); ++index) {
                if (repetition == 0) samples.push_back(samples_of(*times[index].op));
                samples[index].seconds.push_back(times[index].seconds);
            }
        }
        return samples;
    }
    std::vector<GraphNode> graph_nodes() override {
        next_batch();
        return scene::graph_nodes(runner_.device(), [this] { runner_.executor().run_op_by_op(program()); });
    }

private:
    /// Without times.
    OpSamples samples_of(const Op& op) const {
        const size_t step = static_cast<size_t>(&op - program().ops.data());
        size_t live = 0, end = 0;
        for (const Lifetime& buffer : lifetimes(program())) {
            if (step < buffer.first || step > buffer.last) continue;
            live += buffer.bytes;
            end = std::max(end, buffer.end(program().tensors[buffer.buffer].offset));
        }
        const size_t variables = runner_.variables().total_bytes();
        return {.name = op.name,
                .kind = op.kind,
                .phase = op.phase,
                .flops = op.flops,
                .bytes_moved = op.bytes,
                .arena_live = static_cast<double>(variables + live),
                .arena_end = static_cast<double>(variables + end),
                .seconds = {}};
    }
    const Program& program() const { return mode_ == Mode::Training ? runner_.training(batch_) : runner_.inference(); }
    void next_batch() {
        StepControl control;
        control.seed = seed_;
        control.step = step_;
        control.cursor = static_cast<uint32_t>(step_ % 2 * batch_);
        control.learning_rate = 1e-4f;
        if (runner_.device().planner().activation_type() == DType::F16) control.loss_scale = 1024; // no step is skipped
        runner_.set_control(control);
        ++step_;
    }

    uint64_t seed_;
    uint32_t step_ = 0;
    Mode mode_;
    int64_t batch_;
    StepRunner runner_;
    std::vector<float> features_;
};

struct LogMelName {
    int64_t batch = 16;
    bool by_cufft = false; ///< instead of by the device's own kernel
};

/// The front end: clips of noise, already in the device's memory, to log-mel.
class LogMelBenchmark final : public Benchmark {
public:
    LogMelBenchmark(Device& device, const LogMelName& name, uint64_t seed)
        : device_(device), batch_(name.batch), wave_(noise(name.batch, seed)),
          device_wave_(device, wave_.data(), wave_.size() * sizeof(float)),
          device_features_(device, static_cast<size_t>(batch_ * spec_.frames * spec_.bands) * sizeof(float)),
          by_cufft_(name.by_cufft ? make_cufft_log_mel(device, spec_, batch_) : nullptr) {}

    void run() override {
        const LogMel<Tensor> op{.out = device_features_.tensor(DType::F32, {batch_, spec_.frames, spec_.bands}),
                                .wave = device_wave_.tensor(DType::F32, {batch_, spec_.samples}),
                                .spec = spec_};
        if (by_cufft_) {
            by_cufft_->run(op);
        } else {
            run_alone(device_, op, scratch_);
        }
        device_.synchronize();
    }
    int64_t clips() const override { return batch_; }
    /// The customary count of a real FFT, 2.5 n log2 n, for each frame. The rest is small beside it.
    double flops() const override {
        return static_cast<double>(batch_ * spec_.all_frames()) * 2.5 * spec_.n_fft * std::log2(spec_.n_fft);
    }
    double bytes_moved() const override { return static_cast<double>(device_wave_.bytes() + device_features_.bytes()); }
    std::vector<OpSamples> profile(int, const std::string&) override { return {}; }

private:
    /// White noise: 16 different clips, repeated.
    std::vector<float> noise(int64_t batch, uint64_t seed) const {
        std::vector<float> values = random_values(std::min<int64_t>(batch, 16) * spec_.samples, -0.5f, 0.5f, seed);
        const size_t period = values.size();
        values.resize(static_cast<size_t>(batch * spec_.samples));
        for (size_t i = period; i < values.size(); ++i) values[i] = values[i - period];
        return values;
    }

    Device& device_;
    LogMelSpec spec_;
    int64_t batch_;
    std::vector<float> wave_;
    DeviceBuffer device_wave_, device_features_, scratch_;
    std::unique_ptr<CufftLogMel> by_cufft_;
};

struct StepName {
    const Network* network;
    Mode mode;
    int64_t batch;
    Augmentation augmentation = {};

    StepConfig config() const {
        StepConfig config;
        config.model.network = network;
        config.batch = batch;
        config.rows = 2 * batch;
        config.label_smoothing = 0.1f;
        config.augmentation = augmentation;
        return config;
    }
};

/// Removes `prefix` from the front of `name`; false if `name` does not begin with it.
bool take(std::string_view& name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return false;
    name.remove_prefix(prefix.size());
    return true;
}

std::optional<int64_t> parse_batch(std::string_view digits) {
    int64_t batch = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), batch);
    if (error != std::errc() || end != digits.data() + digits.size() || batch < 1 || batch > 65535) return std::nullopt;
    return batch;
}

/// "logmel", "logmel_b256", "logmel_cufft_b256"
std::optional<LogMelName> parse_log_mel(std::string_view name) {
    LogMelName log_mel;
    if (!take(name, "logmel")) return std::nullopt;
    log_mel.by_cufft = take(name, "_cufft");
    if (name.empty()) return log_mel;
    const std::optional<int64_t> batch = take(name, "_b") ? parse_batch(name) : std::nullopt;
    if (!batch) return std::nullopt;
    log_mel.batch = *batch;
    return log_mel;
}

/// "se_trans" of "se-trans".
std::string benchmark_prefix(const Network& network) {
    std::string prefix(network.name);
    std::replace(prefix.begin(), prefix.end(), '-', '_');
    return prefix;
}

/// "fcnn_train_b16"
std::optional<StepName> parse_step(std::string_view name) {
    StepName step{};
    for (const Network* network : networks())
        if (take(name, benchmark_prefix(*network))) step.network = network;
    if (!step.network) return std::nullopt;
    if (take(name, "_train_b")) {
        step.mode = Mode::Training;
    } else if (take(name, "_train_augmented_b")) {
        step.mode = Mode::Training;
        step.augmentation = all_augmentation;
    } else if (take(name, "_infer_b")) {
        step.mode = Mode::Inference;
    } else {
        return std::nullopt;
    }
    const std::optional<int64_t> batch = parse_batch(name);
    if (!batch) return std::nullopt;
    step.batch = *batch;
    return step;
}

} // namespace

const std::vector<std::string>& benchmark_names(bool gpu) {
    static const std::vector<std::string> on_cpu = {"fcnn_train_b16",     "fcnn_train_augmented_b16",
                                                    "se_trans_train_b16", "se_trans_train_b64",
                                                    "fcnn_infer_b16",     "fcnn_infer_b1",
                                                    "se_trans_infer_b16", "logmel"};
    static const std::vector<std::string> on_gpu = {"fcnn_train_b16",     "fcnn_train_b64",      "fcnn_train_b256",
                                                    "se_trans_train_b64", "se_trans_train_b256", "fcnn_infer_b256",
                                                    "fcnn_infer_b1",      "logmel_b256",         "logmel_cufft_b256"};
    return gpu ? on_gpu : on_cpu;
}

bool is_benchmark(const std::string& name) { return parse_log_mel(name) || parse_step(name) || parse_conv(name); }

std::unique_ptr<Benchmark> make_benchmark(std::string_view name, Device& device, uint64_t seed) {
    if (const std::optional<StepName> step = parse_step(name))
        return std::make_unique<StepBenchmark>(device, step->config(), step->mode, seed);
    if (const std::optional<LogMelName> log_mel = parse_log_mel(name))
        return std::make_unique<LogMelBenchmark>(device, *log_mel, seed);
    if (const std::optional<Conv2dShape> shape = parse_conv(name)) return make_conv_benchmark(device, *shape, seed);
    fail("there is no benchmark '{}'; the names are {}", name, fmt::join(benchmark_names(false), ", "));
}

double time_once(Benchmark& benchmark) {
    benchmark.prepare();
    const auto start = std::chrono::steady_clock::now();
    benchmark.run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace scene
