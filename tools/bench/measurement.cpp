#include "tools/bench/measurement.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <type_traits>

#include <sys/wait.h>
#include <unistd.h>

#include "kernels/median.h"

namespace scene {
namespace {

/// One end of a pipe between a process and its forked child. Both are the same program, so values are sent as bytes.
class Message {
public:
    explicit Message(std::FILE* stream) : stream_(stream) {}

    template <typename T> void write(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        std::fwrite(&value, sizeof value, 1, stream_);
    }
    void write(const std::string& text) {
        write(text.size());
        std::fwrite(text.data(), 1, text.size(), stream_);
    }
    void write(const std::vector<double>& values) {
        write(values.size());
        std::fwrite(values.data(), sizeof(double), values.size(), stream_);
    }
    template <typename T> T read() {
        T value{};
        read_bytes(&value, sizeof value);
        return value;
    }
    std::string read_string() {
        std::string text(read<size_t>(), '\0');
        read_bytes(text.data(), text.size());
        return text;
    }
    std::vector<double> read_doubles() {
        std::vector<double> values(read<size_t>());
        read_bytes(values.data(), values.size() * sizeof(double));
        return values;
    }

private:
    void read_bytes(void* target, size_t bytes) {
        if (bytes > 0 && std::fread(target, bytes, 1, stream_) != 1) fail("a measuring process ended early");
    }

    std::FILE* stream_;
};

/// Runs `work` in a child process, and here `receive` on what the child writes. Fails with the child's error.
void in_child(const std::function<void(Message&)>& work, const std::function<void(Message&)>& receive) {
    int ends[2], errors[2];
    if (pipe(ends) != 0 || pipe(errors) != 0) fail("cannot open a pipe: {}", std::strerror(errno));
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child < 0) fail("cannot start a process: {}", std::strerror(errno));
    if (child == 0) {
        close(ends[0]);
        close(errors[0]);
        int status = 0;
        try {
            std::FILE* stream = fdopen(ends[1], "w");
            Message message(stream);
            work(message);
            if (std::fclose(stream) != 0) status = 1;
        } catch (const std::exception& error) {
            std::FILE* stream = fdopen(errors[1], "w");
            Message(stream).write(std::string(error.what()));
            std::fclose(stream);
            status = 1;
        }
        _exit(status);
    }
    close(ends[1]);
    close(errors[1]);
    std::FILE* stream = fdopen(ends[0], "r");
    std::FILE* error_stream = fdopen(errors[0], "r");
    Message message(stream);
    std::string error;
    try {
        receive(message);
    } catch (const Error& early) {
        error = early.what();
        try {
            error = Message(error_stream).read_string();
        } catch (const Error&) {} // the child ended without a message
    }
    std::fclose(stream);
    std::fclose(error_stream);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) error = fmt::format("a measuring process was killed by signal {}", WTERMSIG(status));
    if (!error.empty()) fail("{}", error);
}

/// VmHWM of this process.
uint64_t peak_resident_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
    return 0;
}

Calibration calibrate_device(const MeasurementSettings& settings) {
    if (!settings.cuda) return calibrate(settings.threads);
    const CudaRoofline peaks = measure_cuda_roofline(*settings.cuda);
    Calibration calibration;
    calibration.gflops = peaks.product_flops / 1e9;
    calibration.copy_gb_per_s = peaks.copy_bytes / 1e9;
    return calibration;
}

Calibration calibrate_in_child(const MeasurementSettings& settings) {
    Calibration calibration;
    in_child([&](Message& message) { message.write(calibrate_device(settings)); },
             [&](Message& message) { calibration = message.read<Calibration>(); });
    return calibration;
}

Measurement run_benchmark(const std::string& name, const MeasurementSettings& settings) {
    const auto device = make_device(settings);
    const auto benchmark = make_benchmark(name, *device, settings.seed);
    for (int warm_up = 0; warm_up < 2; ++warm_up) time_once(*benchmark);
    Measurement result;
    result.name = name;
    for (int repetition = 0; repetition < settings.repetitions; ++repetition)
        result.seconds.push_back(time_once(*benchmark));
    result.clips = benchmark->clips();
    result.flops = benchmark->flops();
    result.bytes_moved = benchmark->bytes_moved();
    const DeviceInfo info = device->info();
    result.peak_bytes = settings.cuda ? info.allocated_bytes : peak_resident_bytes();
    result.device = info.name + "; " + info.libraries;
    if (settings.ops) result.ops = benchmark->profile(settings.repetitions, settings.op);
    result.all_ops = settings.op.empty();
    if (result.ops.empty() && !settings.op.empty())
        fail("--op {}: {} has no op of such a name; `scene bench --ops` lists them", settings.op, name);
    if (settings.graph) result.graph = benchmark->graph_nodes();
    result.convolutions = device->planner().conv2d_report();
    return result;
}

void send(const Measurement& result, Message& message) {
    message.write(result.clips);
    message.write(result.flops);
    message.write(result.bytes_moved);
    message.write(result.seconds);
    message.write(result.peak_bytes);
    message.write(result.device);
    message.write(result.convolutions.kept);
    message.write(result.convolutions.budget_seconds);
    message.write(result.convolutions.spent_seconds);
    message.write(result.convolutions.choices.size());
    for (const ConvChoice& choice : result.convolutions.choices) {
        message.write(choice.pass);
        message.write(choice.engine);
        message.write(choice.seconds);
        message.write(choice.ran);
        message.write(choice.failures);
        message.write(choice.left_out);
    }
    message.write(result.ops.size());
    for (const OpSamples& op : result.ops) {
        message.write(op.name);
        message.write(op.kind);
        message.write(op.phase);
        message.write(op.flops);
        message.write(op.bytes_moved);
        message.write(op.arena_live);
        message.write(op.arena_end);
        message.write(op.seconds);
    }
    message.write(result.all_ops);
    message.write(result.graph.size());
    for (const GraphNode& node : result.graph) {
        message.write(node.range);
        message.write(node.kind);
        message.write(node.kernel);
        message.write(node.grid);
        message.write(node.block);
        message.write(node.shared_bytes);
    }
}

void receive(Measurement& result, Message& message) {
    result.clips = message.read<int64_t>();
    result.flops = message.read<double>();
    result.bytes_moved = message.read<double>();
    result.seconds = message.read_doubles();
    result.peak_bytes = message.read<uint64_t>();
    result.device = message.read_string();
    result.convolutions.kept = message.read_string();
    result.convolutions.budget_seconds = message.read<double>();
    result.convolutions.spent_seconds = message.read<double>();
    result.convolutions.choices.resize(message.read<size_t>());
    for (ConvChoice& choice : result.convolutions.choices) {
        choice.pass = message.read_string();
        choice.engine = message.read_string();
        choice.seconds = message.read<double>();
        choice.ran = message.read<bool>();
        choice.failures = message.read_string();
        choice.left_out = message.read<int>();
    }
    result.ops.resize(message.read<size_t>());
    for (OpSamples& op : result.ops) {
        op.name = message.read_string();
        op.kind = message.read_string();
        op.phase = message.read<Phase>();
        op.flops = message.read<double>();
        op.bytes_moved = message.read<double>();
        op.arena_live = message.read<double>();
        op.arena_end = message.read<double>();
        op.seconds = message.read_doubles();
    }
    result.all_ops = message.read<bool>();
    result.graph.resize(message.read<size_t>());
    for (GraphNode& node : result.graph) {
        node.range = message.read_string();
        node.kind = message.read_string();
        node.kernel = message.read_string();
        node.grid = message.read<std::array<unsigned, 3>>();
        node.block = message.read<std::array<unsigned, 3>>();
        node.shared_bytes = message.read<unsigned>();
    }
}

} // namespace

std::string cuda_unavailable_reason_in_child() {
    std::string reason;
    in_child([](Message& message) { message.write(cuda_unavailable_reason()); },
             [&](Message& message) { reason = message.read_string(); });
    return reason;
}

std::unique_ptr<Device> make_device(const MeasurementSettings& settings) {
    return settings.cuda ? make_cuda_device(*settings.cuda) : make_cpu_device(settings.threads);
}

double Measurement::median_seconds() const { return median(seconds); }

double Measurement::seconds_of_ops() const {
    if (!all_ops) return median_seconds();
    double total = 0;
    for (const OpSamples& op : ops) total += median(op.seconds);
    return total;
}

double roofline_share(const OpSamples& op, const Calibration& calibration) {
    const double bound =
        std::max(op.flops / (1e9 * calibration.gflops), op.bytes_moved / (1e9 * calibration.copy_gb_per_s));
    return bound / median(op.seconds);
}

Measurement measure(const std::string& name, const MeasurementSettings& settings) {
    if (settings.in_process) return run_benchmark(name, settings);
    Measurement result;
    result.name = name;
    if (!settings.cuda) {
        const Calibration before = calibrate_in_child(settings);
        in_child([&](Message& message) { send(run_benchmark(name, settings), message); },
                 [&](Message& message) { receive(result, message); });
        result.calibration = best_of(before, calibrate_in_child(settings));
        return result;
    }
    // On a GPU the Device itself counts its memory, so one child does all three and opens the GPU once.
    in_child(
        [&](Message& message) {
            message.write(calibrate_device(settings));
            send(run_benchmark(name, settings), message);
            message.write(calibrate_device(settings));
        },
        [&](Message& message) {
            const Calibration before = message.read<Calibration>();
            receive(result, message);
            result.calibration = best_of(before, message.read<Calibration>());
        });
    return result;
}

} // namespace scene
