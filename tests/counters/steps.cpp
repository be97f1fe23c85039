#include "tests/counters/steps.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <cuda_runtime.h>
#include <nvtx3/nvToolsExt.h>

#include "kernels/cuda/cuda_device.h"
#include "kernels/device_buffer.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "model/step_runner.h"
#include "tests/counters/idle_libraries.h"
#include "tests/counters/source_lines.h"
#include "tools/bench/all_augmentation.h"

namespace scene::counters {
namespace {

/// The data set of the paper.
constexpr int64_t paper_clips = 8700;

std::vector<float> random_values(int64_t count, float low, float high) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = low + (high - low) * uniform_of(random_word(7, 0, 0, i));
    return values;
}

std::vector<int32_t> cycle(int64_t count, int64_t period) {
    std::vector<int32_t> values(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = static_cast<int32_t>(i % period);
    return values;
}

KernelCounters kernel_of(const LaunchCounts& launch, const SourceLines& lines) {
    KernelCounters kernel;
    kernel.op = launch.op;
    kernel.symbol = lines.function(static_cast<const char*>(launch.kernel) + 1);
    kernel.kernel = kernel_name(kernel.symbol);
    kernel.grid = {launch.grid.x, launch.grid.y, launch.grid.z};
    kernel.block = {launch.block.x, launch.block.y, launch.block.z};
    kernel.shared_bytes = launch.shared_bytes;
    kernel.counted_blocks = launch.counted_blocks;
    kernel.scaling_error = launch.scaling_error;
    kernel.barriers = launch.barriers;
    kernel.warp_operations = launch.warp_operations;
    kernel.distinct_bytes_read = launch.distinct_bytes_read;
    kernel.distinct_bytes_written = launch.distinct_bytes_written;
    kernel.distinct_bytes_of_scratch = launch.distinct_bytes_of_scratch;
    kernel.warp_blocks = launch.warp_blocks;
    kernel.thread_blocks = launch.thread_blocks;
    std::map<std::vector<std::pair<std::string, int>>, size_t> known;
    for (const InstructionCounts& instruction : launch.instructions) {
        std::vector<Frame> frames = lines.frames(instruction.instruction);
        std::erase_if(frames,
                      [](const Frame& frame) { return frame.file.starts_with("tests/cuda_on_cpu/stand_ins/"); });
        std::vector<std::pair<std::string, int>> key;
        for (const Frame& frame : frames) key.emplace_back(frame.file, frame.line);
        const auto [at, fresh] = known.emplace(key, kernel.lines.size());
        if (fresh) kernel.lines.push_back({frames, {}});
        const auto kind = static_cast<size_t>(instruction.kind);
        kernel.lines[at->second].access[kind] += instruction.counts;
        kernel.access[kind] += instruction.counts;
    }
    return kernel;
}

std::vector<KernelCounters> kernels_of(const std::vector<LaunchCounts>& launches) {
    std::vector<const void*> addresses;
    for (const LaunchCounts& launch : launches) {
        addresses.push_back(static_cast<const char*>(launch.kernel) + 1);
        for (const InstructionCounts& instruction : launch.instructions) addresses.push_back(instruction.instruction);
    }
    std::sort(addresses.begin(), addresses.end());
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    const SourceLines lines(addresses);
    std::vector<KernelCounters> kernels;
    for (const LaunchCounts& launch : launches) kernels.push_back(kernel_of(launch, lines));
    return kernels;
}

cuda::CudaDevice idle_device(const StepSettings& settings) {
    return {settings.activation, idle_convolutions(), idle_gemm(), settings.fusions};
}

// ---- a step of a network ---------------------------------------------------------------------------------------

StepConfig config_of(const Network& network, bool everything, const StepSettings& settings) {
    StepConfig config;
    config.model.network = &network;
    config.model.width = settings.width;
    config.model.multimodal = true;
    config.batch = settings.batch;
    config.rows = 2 * settings.batch;
    config.label_smoothing = 0.1f;
    if (everything) {
        config.model.deltas = true;
        config.decoupled_decay = 0.01f;
        config.augmentation = all_augmentation;
    }
    return config;
}

/// The step's transient memory has noise where nothing was written, since most blocks do not run and the libraries
/// compute nothing.
void fill_transients(const Executor& executor, const Program& program) {
    for (size_t i = 0; i < program.tensors.size(); ++i) {
        const TensorInfo& info = program.tensors[i];
        if (info.storage != Storage::Transient || program.transient_bytes == 0) continue;
        const auto* first =
            static_cast<const char*>(executor.tensor(program, {static_cast<int32_t>(i)}).data) - info.offset;
        fill_with_noise_when_touched(first, program.transient_bytes);
        return;
    }
}

void set_gradients(StepRunner& runner) {
    for (const Variable* variable : runner.variables().all(Segment::Gradients)) {
        const std::vector<float> values = random_values(variable->shape.elements(), -1, 1);
        runner.executor().upload(Segment::Gradients, variable->name, values.data(), values.size() * sizeof(float));
    }
}

/// Of a norm whose gamma is 1 and beta is 0, as a network begins. With noise a backward pass would not be able to take
/// all its sums from the pooled output.
void set_norm(Device& device, const Executor& executor, const Program& program, const Op& op) {
    enum { Dy, X, Mean, InvStd, Scale, Shift };
    for (const auto& [operand, value] : {std::pair(Mean, 0.0f), {InvStd, 1.0f}, {Scale, 1.0f}, {Shift, 0.0f}}) {
        const Tensor tensor = executor.tensor(program, op.reads.at(operand));
        const std::vector<float> values(static_cast<size_t>(tensor.elements()), value);
        device.upload(tensor.data, values.data(), tensor.bytes());
    }
}

CountedStep count_network(const Network& network, Mode mode, bool everything, const StepSettings& settings) {
    const StepConfig config = config_of(network, everything, settings);
    cuda::CudaDevice device = idle_device(settings);
    StepRunner runner(device, config,
                      mode == Mode::Training ? StepPrograms{.training = {config.batch}}
                                             : StepPrograms{.training = {}, .inference = config.batch});
    const std::vector<float> features =
        random_values(config.rows * config.model.frames * config.model.bands, -70.0f, 0.0f);
    runner.bind_features(features);
    runner.initialize(5);
    runner.begin(cycle(config.rows, config.rows));
    std::vector<float> target(static_cast<size_t>(config.rows * config.model.classes), 0.0f);
    for (int64_t row = 0; row < config.rows; ++row)
        target[static_cast<size_t>(row * config.model.classes + row % config.model.classes)] = 1.0f;
    runner.set_targets(target);
    runner.set_metadata(cycle(config.rows, config.model.cities), random_values(config.rows * time_inputs, -1, 1));
    StepControl control;
    control.seed = 9;
    control.learning_rate = 1e-4f;
    if (settings.activation == DType::F16) control.loss_scale = 1024;
    runner.set_control(control);

    const Program& program = mode == Mode::Training ? runner.training(config.batch) : runner.inference();
    CountedStep step;
    std::map<std::string, const Op*> ops;
    for (const Op& op : program.ops) ops[op.name] = &op;
    step.time_plan = plan_of(program);
    fill_transients(runner.executor(), program);
    AccessCounter counter(settings.limits);
    library_calls().clear();
    emulator::on_range_begins = [&](const std::string& name) {
        if (emulator::capture) return; // the step has run
        const Op& op = *ops.at(name);
        const Tensor scratch = op.scratch ? runner.executor().tensor(program, op.scratch) : Tensor{};
        counter.set_scratch(scratch.data, scratch ? scratch.bytes() : 0);
        if (op.kind == "batch_norm_backward") set_norm(device, runner.executor(), program, op);
        // Gradients of noise need not be finite, and then Adam would do nothing; it looks for them block by block.
        if (op.kind == "adam") {
            set_gradients(runner);
            device.upload(scratch.data, std::vector<char>(scratch.bytes()).data(), scratch.bytes());
        }
    };
    runner.executor().setup(program);
    runner.executor().run(program);
    emulator::on_range_begins = nullptr;
    step.counters.kernels = kernels_of(counter.take());
    for (KernelCounters& kernel : step.counters.kernels) kernel.kind = ops.at(kernel.op)->kind;
    for (const Op& op : program.ops)
        step.plan.push_back({op.name, op.kind, op.bytes, library_calls().contains(op.name)});
    return step;
}

// ---- ops outside the steps -------------------------------------------------------------------------------------

template <template <class> class Op> void run_op(Device& device, const Op<Tensor>& op, DeviceBuffer& scratch) {
    device.begin_range(std::string(Op<Tensor>::name));
    run_alone(device, op, scratch);
    device.end_range();
}

CountedStep count_log_mel(const StepSettings& settings) {
    cuda::CudaDevice device = idle_device(settings);
    const LogMelSpec spec;
    const std::vector<float> wave = random_values(settings.batch * spec.samples, -0.5f, 0.5f);
    const DeviceBuffer on_device(device, wave.data(), wave.size() * sizeof(float));
    const DeviceBuffer out(device, static_cast<size_t>(settings.batch * spec.frames * spec.bands) * sizeof(float));
    const LogMel<Tensor> op{.out = out.tensor(DType::F32, {settings.batch, spec.frames, spec.bands}),
                            .wave = on_device.tensor(DType::F32, {settings.batch, spec.samples}),
                            .spec = spec};
    CountedStep step;
    DeviceBuffer scratch;
    AccessCounter counter(settings.limits);
    run_op(device, op, scratch);
    step.counters.kernels = kernels_of(counter.take());
    step.plan.push_back({"log_mel", "log_mel", bytes_of(rebound<TensorSpec>(op, spec_of)), false});
    step.time_plan.other_bytes = step.plan.front().bytes;
    return step;
}

/// Between the stages of System #4: weights of the hard samples, class probabilities, and the nearest neighbours that
/// `scene predict` can vote with.
CountedStep count_experiment(const StepSettings& settings) {
    cuda::CudaDevice device = idle_device(settings);
    constexpr int64_t classes = 10, neighbours = 10;
    const auto floats = [&](int64_t rows, int64_t columns) {
        const std::vector<float> values = random_values(rows * columns, 0.01f, 1.0f);
        return DeviceBuffer(device, values.data(), values.size() * sizeof(float));
    };
    const DeviceBuffer probabilities = floats(paper_clips, classes), weight = floats(paper_clips, 1);
    const DeviceBuffer logits = floats(paper_clips, classes);
    const DeviceBuffer similarity = floats(settings.batch, paper_clips), votes = floats(settings.batch, classes);
    const std::vector<int32_t> ones(static_cast<size_t>(paper_clips), 1), labels = cycle(paper_clips, classes);
    const DeviceBuffer member(device, ones.data(), ones.size() * sizeof(int32_t));
    const DeviceBuffer label(device, labels.data(), labels.size() * sizeof(int32_t));
    const Shape table{paper_clips, classes};
    DeviceBuffer scratch;
    AccessCounter counter(settings.limits);
    run_op(device,
           HardSampleWeights<Tensor>{.weight = weight.tensor(DType::F32, {paper_clips}),
                                     .probabilities = probabilities.tensor(DType::F32, table),
                                     .member = member.tensor(DType::I32, {paper_clips}),
                                     .measure = Confidence::MaxSoftmax},
           scratch);
    run_op(device,
           NearestVotes<Tensor>{.votes = votes.tensor(DType::F32, {settings.batch, classes}),
                                .similarity = similarity.tensor(DType::F32, {settings.batch, paper_clips}),
                                .label = label.tensor(DType::I32, {paper_clips}),
                                .neighbours = neighbours,
                                .temperature = 0.1f},
           scratch);
    run_op(device,
           Softmax<Tensor>{.probabilities = probabilities.tensor(DType::F32, table),
                           .logits = logits.tensor(DType::F32, table)},
           scratch);
    CountedStep step;
    step.counters.kernels = kernels_of(counter.take());
    return step;
}

} // namespace

const std::vector<std::string>& step_names() {
    static const std::vector<std::string> names = {
        "fcnn_train", "se_trans_train", "fcnn_infer", "se_trans_infer", "fcnn_train_augmented", "logmel", "experiment"};
    return names;
}

CountedStep count_step(const std::string& name, const StepSettings& settings) {
    CountedStep step;
    if (name == "logmel") {
        step = count_log_mel(settings);
    } else if (name == "experiment") {
        step = count_experiment(settings);
    } else if (std::find(step_names().begin(), step_names().end(), name) != step_names().end()) {
        const Network& network = name.starts_with("fcnn") ? fcnn : se_trans;
        step = count_network(network, name.find("_train") != std::string::npos ? Mode::Training : Mode::Inference,
                             name.ends_with("_augmented"), settings);
    } else {
        fail("there is no step '{}'; the names are {}", name, fmt::join(step_names(), ", "));
    }
    for (KernelCounters& kernel : step.counters.kernels)
        if (kernel.kind.empty()) kernel.kind = kernel.op;
    step.counters.program = fmt::format("{}_b{}", name, settings.batch);
    step.counters.precision = settings.activation == DType::F16 ? "fp16" : "fp32";
    step.counters.batch = settings.batch;
    return step;
}

} // namespace scene::counters
