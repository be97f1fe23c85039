#include "tools/bench/conv_benchmark.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fnmatch.h>

#include "kernels/device_buffer.h"
#include "tools/bench/random_values.h"

namespace scene {
namespace {

class ConvBenchmark final : public Benchmark {
public:
    ConvBenchmark(Device& device, const Conv2dShape& shape, uint64_t seed)
        : device_(device), shape_(shape), type_(device.planner().activation_type()), x_(random_tensor(shape.x(), seed)),
          w_(random_tensor(shape.w(), seed + 1)), dy_(random_tensor(shape.y(), seed + 2)),
          y_(device, bytes_of(shape.y())), dx_(device, bytes_of(shape.x())),
          dw_(device, static_cast<size_t>(shape.w().elements()) * sizeof(float)) {
        device.autotune({shape});
    }

    void run() override {
        for (const Pass& pass : passes_) pass.run();
        device_.synchronize();
    }
    int64_t clips() const override { return shape_.batch; }
    double flops() const override { return 3 * shape_.flops(); }
    double bytes_moved() const override { return 3 * bytes_of_a_pass(); }
    std::vector<OpSamples> profile(int repetitions, const std::string& pattern) override {
        std::vector<OpSamples> samples;
        for (const Pass& pass : passes_) {
            if (!pattern.empty() && fnmatch(pattern.c_str(), pass.name, 0) != 0) continue;
            OpSamples op{.name = pass.name,
                         .kind = std::string(pass.kind),
                         .phase = pass.phase,
                         .flops = shape_.flops(),
                         .bytes_moved = bytes_of_a_pass(),
                         .seconds = {}};
            for (int repetition = 0; repetition < repetitions; ++repetition) {
                device_.begin_range(pass.name);
                op.seconds.push_back(device_.seconds_of(pass.run));
                device_.end_range();
            }
            samples.push_back(std::move(op));
        }
        return samples;
    }

private:
    struct Pass {
        const char* name;
        std::string_view kind;
        Phase phase;
        std::function<void()> run;
    };

    size_t bytes_of(const Shape& shape) const { return static_cast<size_t>(shape.elements()) * size_of(type_); }
    /// The same for each: two of x, w and y are read, and the third is written.
    double bytes_of_a_pass() const {
        return static_cast<double>(bytes_of(shape_.x()) + bytes_of(shape_.w()) + bytes_of(shape_.y()));
    }
    Tensor tensor(const DeviceBuffer& buffer, const Shape& shape) const { return buffer.tensor(type_, shape); }

    /// Values in [-1, 1): the same million, repeated.
    DeviceBuffer random_tensor(const Shape& shape, uint64_t seed) const {
        const int64_t count = shape.elements();
        const std::vector<float> values = random_values(std::min<int64_t>(count, 1 << 20), -1, 1, seed);
        DeviceBuffer floats(device_, static_cast<size_t>(count) * sizeof(float));
        for (int64_t done = 0; done < count; done += static_cast<int64_t>(values.size())) {
            const auto now = std::min<int64_t>(count - done, static_cast<int64_t>(values.size()));
            device_.upload(static_cast<float*>(floats.data()) + done, values.data(),
                           static_cast<size_t>(now) * sizeof(float));
        }
        if (type_ == DType::F32) return floats;
        DeviceBuffer converted(device_, bytes_of(shape)), scratch;
        run_alone(device_, Convert<Tensor>{.y = tensor(converted, shape), .x = floats.tensor(DType::F32, shape)},
                  scratch);
        return converted;
    }

    void forward() {
        run_alone(
            device_,
            Conv2dForward<Tensor>{
                .y = tensor(y_, shape_.y()), .x = tensor(x_, shape_.x()), .w = tensor(w_, shape_.w()), .shape = shape_},
            scratch_);
    }
    void data_grad() {
        run_alone(device_,
                  Conv2dDataGrad<Tensor>{.dx = tensor(dx_, shape_.x()),
                                         .dy = tensor(dy_, shape_.y()),
                                         .w = tensor(w_, shape_.w()),
                                         .shape = shape_},
                  scratch_);
    }
    void weight_grad() {
        run_alone(device_,
                  Conv2dWeightGrad<Tensor>{.dw = dw_.tensor(DType::F32, shape_.w()),
                                           .dy = tensor(dy_, shape_.y()),
                                           .x = tensor(x_, shape_.x()),
                                           .shape = shape_},
                  scratch_);
    }

    Device& device_;
    Conv2dShape shape_;
    DType type_;
    DeviceBuffer x_, w_, dy_, y_, dx_, dw_, scratch_;
    std::vector<Pass> passes_ = {
        {"forward", Conv2dForward<Tensor>::name, Phase::Forward, [this] { forward(); }},
        {"data_grad", Conv2dDataGrad<Tensor>::name, Phase::Backward, [this] { data_grad(); }},
        {"weight_grad", Conv2dWeightGrad<Tensor>::name, Phase::Backward, [this] { weight_grad(); }}};
};

} // namespace

std::optional<Conv2dShape> parse_conv(std::string_view name) {
    Conv2dShape shape;
    const char *at = name.data(), *end = at + name.size();
    const auto skip = [&](std::string_view text) {
        if (!std::string_view(at, end).starts_with(text)) return false;
        at += text.size();
        return true;
    };
    const auto number = [&](int64_t& value) {
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc() || value < 1 || value > 65535) return false;
        at = next;
        return true;
    };
    const bool parsed = skip("conv_") && number(shape.height) && skip("x") && number(shape.width) && skip("x") &&
                        number(shape.in_channels) && skip("_b") && number(shape.batch) && at == end;
    if (!parsed) return std::nullopt;
    shape.out_channels = shape.in_channels;
    return shape;
}

std::unique_ptr<Benchmark> make_conv_benchmark(Device& device, const Conv2dShape& shape, uint64_t seed) {
    return std::make_unique<ConvBenchmark>(device, shape, seed);
}

} // namespace scene
