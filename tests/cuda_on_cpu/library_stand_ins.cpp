#include "tests/cuda_on_cpu/library_stand_ins.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/cuda/launch.h"
#include "kernels/device.h"
#include "kernels/error.h"
#include "kernels/half_width.h"
#include "tests/support/run_with_scratch.h"

namespace scene::test {

int least_streams_at_close = 0;

namespace {

/// With one thread, as the emulator runs kernels on the caller's thread alone.
Device& cpu_device() {
    static const std::unique_ptr<Device> device = make_cpu_device(1);
    return *device;
}

/// A tensor of the device, as floats on the host.
struct Floats {
    std::vector<float> values;
    Shape shape;

    Floats(const void* device, DType dtype, const Shape& of) : values(static_cast<size_t>(of.elements())), shape(of) {
        const auto copy = [&](auto type) {
            using Stored = decltype(type);
            for (size_t i = 0; i < values.size(); ++i)
                values[i] = static_cast<float>(static_cast<const Stored*>(device)[i]);
        };
        if (is_half_width(dtype))
            with_half_width(dtype, copy);
        else
            copy(float{});
    }
    Tensor tensor() { return {values.data(), DType::F32, shape}; }
    void store(void* device, DType dtype) const {
        if (is_half_width(dtype)) {
            const std::vector<std::byte> halves = half_width_bytes(dtype, values);
            std::memcpy(device, halves.data(), halves.size());
        } else {
            std::copy(values.begin(), values.end(), static_cast<float*>(device));
        }
        emulator::mark_written(device, values.size() * size_of(dtype));
    }
};

cudaError_t in_device_memory(const void* memory, DType dtype, const Shape& shape) {
    const auto bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
    return emulator::check_range(memory, bytes) ? cudaSuccess : cudaErrorInvalidValue;
}

void note_close() { least_streams_at_close = std::min(least_streams_at_close, emulator::streams); }

class CpuConvolutions final : public cuda::Convolutions {
public:
    CpuConvolutions(DType activation, TaskSeconds seconds, TaskFailure failure)
        : activation_(activation), seconds_(std::move(seconds)), failure_(std::move(failure)) {}
    ~CpuConvolutions() override { note_close(); }

    std::string version() const override { return "CPU"; }
    /// As cuDNN for F16: a forward pass normalises its input only with statistics.
    bool offers(const cuda::ConvolutionTask& task) const override {
        return task.pass != ConvPass::Forward || !task.fusion.normalize_input || task.fusion.statistics;
    }
    void choose(const cuda::ConvolutionTask& task) override {
        if (find(task)) return;
        const std::string failure = failure_ ? failure_(task) : "";
        const double seconds = seconds_ && task.shape.full_batch == 0 ? seconds_(task) : 0;
        choices_.push_back({task, task.shape.x().text(), failure.empty() ? "CPU" : "", seconds, failure});
    }
    /// `compute` overwrites the workspace before and after a pass, so that an overlap with an operand shows.
    size_t scratch_bytes(const cuda::ConvolutionTask& task) const override {
        (void)chosen(task);
        return static_cast<size_t>(task.shape.in_channels) * (task.fusion.any() ? 96 : 64);
    }
    std::optional<double> seconds(const cuda::ConvolutionTask& task) const override {
        return seconds_ ? std::optional(chosen(task).seconds) : std::nullopt;
    }
    std::vector<cuda::ConvolutionChoice> choices() const override { return choices_; }
    cuda::PlanCache& times() override { return times_; }
    void run(const cuda::ConvolutionTask& task, const cuda::ConvolutionOperands& operands, void* scratch,
             cudaStream_t) override {
        SCENE_CUDA(emulator::enqueue([=, this] { return compute(task, operands, scratch); }));
    }

private:
    const cuda::ConvolutionChoice* find(const cuda::ConvolutionTask& task) const {
        const auto known =
            std::find_if(choices_.begin(), choices_.end(), [&](const auto& choice) { return choice.task == task; });
        return known == choices_.end() ? nullptr : &*known;
    }
    const cuda::ConvolutionChoice& chosen(const cuda::ConvolutionTask& task) const {
        const cuda::ConvolutionChoice* known = find(task);
        SCENE_CHECK(known, "no engine was chosen for " + task.shape.x().text());
        if (!known->failures.empty()) throw Error(known->failures);
        return *known;
    }
    cudaError_t compute(const cuda::ConvolutionTask& task, const cuda::ConvolutionOperands& operands, void* scratch) {
        const auto& [shape, pass, fusion] = task;
        void *const x = operands.x, *const w = operands.w, *const y = operands.y;
        float *const sum = operands.sum, *const square_sum = operands.square_sum;
        const Shape workspace{static_cast<int64_t>(scratch_bytes(task))}, in{shape.in_channels},
            out{shape.out_channels};
        if (in_device_memory(scratch, DType::U8, workspace) != cudaSuccess) return cudaErrorInvalidValue;
        for (const auto& [memory, extents] : {std::pair{x, shape.x()}, {w, shape.w()}, {y, shape.y()}})
            if (in_device_memory(memory, activation_, extents) != cudaSuccess) return cudaErrorInvalidValue;
        std::memset(scratch, 0xFF, workspace.elements());
        std::optional<Floats> bias;
        Floats fx(x, activation_, shape.x()), fw(w, activation_, shape.w()), fy(y, activation_, shape.y());
        if (fusion.normalize_input) {
            if (in_device_memory(operands.scale, activation_, in) != cudaSuccess ||
                in_device_memory(operands.shift, activation_, in) != cudaSuccess)
                return cudaErrorInvalidValue;
            normalize(fx, Floats(operands.scale, activation_, in), Floats(operands.shift, activation_, in));
        }
        switch (pass) {
        case ConvPass::Forward:
            if (fusion.bias_relu) {
                if (in_device_memory(operands.bias, activation_, out) != cudaSuccess) return cudaErrorInvalidValue;
                bias.emplace(operands.bias, activation_, out);
            }
            run_with_scratch(cpu_device(), Conv2dForward<Tensor>{.y = fy.tensor(),
                                                                 .x = fx.tensor(),
                                                                 .w = fw.tensor(),
                                                                 .bias = bias ? bias->tensor() : Tensor(),
                                                                 .relu = fusion.bias_relu,
                                                                 .shape = shape});
            fy.store(y, activation_);
            break;
        case ConvPass::DataGrad:
            run_with_scratch(cpu_device(), Conv2dDataGrad<Tensor>{
                                               .dx = fx.tensor(), .dy = fy.tensor(), .w = fw.tensor(), .shape = shape});
            if (fusion.bn_reduce) {
                if (!add_bn_reduce(fx, operands, shape)) return cudaErrorInvalidValue;
            }
            fx.store(x, activation_);
            break;
        case ConvPass::WeightGrad:
            run_with_scratch(cpu_device(), Conv2dWeightGrad<Tensor>{
                                               .dw = fw.tensor(), .dy = fy.tensor(), .x = fx.tensor(), .shape = shape});
            fw.store(w, activation_);
            break;
        }
        if (fusion.statistics) {
            if (in_device_memory(sum, DType::F32, out) != cudaSuccess ||
                in_device_memory(square_sum, DType::F32, out) != cudaSuccess)
                return cudaErrorInvalidValue;
            add_up(Floats(y, activation_, shape.y()), sum, square_sum);
        }
        std::memset(scratch, 0xFF, workspace.elements());
        return cudaSuccess;
    }

    /// Rounds to the activation type, in which the fused engines multiply.
    void normalize(Floats& x, const Floats& scale, const Floats& shift) const {
        for (size_t i = 0; i < x.values.size(); ++i) {
            const size_t c = i % scale.values.size();
            x.values[i] = std::max(0.0f, scale.values[c] * x.values[i] + shift.values[c]);
        }
        if (is_half_width(activation_))
            with_half_width(activation_, [&](auto type) {
                for (float& value : x.values) value = static_cast<float>(static_cast<decltype(type)>(value));
            });
    }
    static void add_up(const Floats& y, float* sum, float* square_sum) {
        const auto channels = static_cast<size_t>(y.shape[3]);
        std::vector<double> sums(channels), squares(channels);
        for (size_t i = 0; i < y.values.size(); ++i) {
            const auto value = static_cast<double>(y.values[i]);
            sums[i % channels] += value;
            squares[i % channels] += value * value;
        }
        std::copy(sums.begin(), sums.end(), sum);
        std::copy(squares.begin(), squares.end(), square_sum);
        emulator::mark_written(sum, channels * sizeof(float));
        emulator::mark_written(square_sum, channels * sizeof(float));
    }

    /// Masks dx to dz and writes dgamma and dbeta. Outputs that nothing may read become NaN.
    bool add_bn_reduce(Floats& dx, const cuda::ConvolutionOperands& operands, const Conv2dShape& shape) const {
        const auto channels = static_cast<size_t>(shape.in_channels);
        const Shape per_channel{shape.in_channels};
        bool inside = in_device_memory(operands.norm_x, activation_, shape.x()) == cudaSuccess;
        for (const float* operand : {operands.mean, operands.inv_std, operands.gamma, operands.beta, operands.dgamma,
                                     operands.dbeta, operands.unused[0], operands.unused[1], operands.unused[2]})
            inside = inside && in_device_memory(operand, DType::F32, per_channel) == cudaSuccess;
        if (!inside) return false;
        const Floats raw(operands.norm_x, activation_, shape.x());
        std::vector<double> sum(channels), sum_normed(channels);
        for (size_t i = 0; i < dx.values.size(); ++i) {
            const size_t c = i % channels;
            const float normed = (raw.values[i] - operands.mean[c]) * operands.inv_std[c];
            if (!(operands.gamma[c] * normed + operands.beta[c] > 0)) dx.values[i] = 0;
            sum[c] += static_cast<double>(dx.values[i]);
            sum_normed[c] += static_cast<double>(dx.values[i]) * static_cast<double>(normed);
        }
        std::copy(sum_normed.begin(), sum_normed.end(), operands.dgamma);
        std::copy(sum.begin(), sum.end(), operands.dbeta);
        for (float* output : {operands.dgamma, operands.dbeta})
            emulator::mark_written(output, channels * sizeof(float));
        for (float* output : operands.unused) std::memset(output, 0xFF, channels * sizeof(float));
        return true;
    }

    DType activation_;
    TaskSeconds seconds_;
    TaskFailure failure_;
    std::vector<cuda::ConvolutionChoice> choices_;
    cuda::PlanCache times_{std::filesystem::path()};
};

class CpuGemm final : public cuda::Gemm {
public:
    ~CpuGemm() override { note_close(); }
    std::string version() const override { return "CPU"; }
    /// Small, because it is overwritten by every product.
    size_t workspace_bytes() const override { return 256; }
    void multiply(const cuda::Product& product, void* to, const void* first, const void* second, void* workspace,
                  cudaStream_t) override {
        SCENE_CUDA(emulator::enqueue([=] {
            const auto [rows, columns, k, transpose_a, transpose_b, accumulate, type] = product;
            SCENE_CHECK(type == DType::F32, "the encoder is F32");
            auto* c = static_cast<float*>(to);
            const auto *a = static_cast<const float*>(first), *b = static_cast<const float*>(second);
            if (in_device_memory(c, DType::F32, {rows, columns}) != cudaSuccess ||
                in_device_memory(a, DType::F32, {rows, k}) != cudaSuccess ||
                in_device_memory(b, DType::F32, {k, columns}) != cudaSuccess ||
                in_device_memory(workspace, DType::U8, {256}) != cudaSuccess)
                return cudaErrorInvalidValue;
            std::memset(workspace, 0xFF, 256);
            for (int64_t i = 0; i < rows; ++i) {
                for (int64_t j = 0; j < columns; ++j) {
                    double sum = accumulate ? c[i * columns + j] : 0;
                    for (int64_t p = 0; p < k; ++p)
                        sum += static_cast<double>(a[transpose_a ? p * rows + i : i * k + p]) *
                               static_cast<double>(b[transpose_b ? j * k + p : p * columns + j]);
                    c[i * columns + j] = static_cast<float>(sum);
                }
            }
            emulator::mark_written(c, static_cast<size_t>(rows * columns) * sizeof(float));
            return cudaSuccess;
        }));
    }
};

/// The transform by its definition, term by term.
class CpuTransforms final : public cuda::FourierTransforms {
public:
    ~CpuTransforms() override { note_close(); }
    std::string version() const override { return "CPU"; }
    size_t scratch_bytes(int, int64_t rows) override { return static_cast<size_t>(rows) * 8; }
    void run(int points, int64_t rows, double2* spectra, double* x, void* scratch, cudaStream_t) override {
        SCENE_CUDA(emulator::enqueue([=, this] {
            const int bins = points / 2 + 1;
            const auto values = static_cast<size_t>(rows * points), results = static_cast<size_t>(rows * bins);
            if (!emulator::check_range(x, values * sizeof(double)) ||
                !emulator::check_range(spectra, results * sizeof(double2)) ||
                !emulator::check_range(scratch, scratch_bytes(points, rows)))
                return cudaErrorInvalidValue;
            std::vector<double> cosine(static_cast<size_t>(points));
            for (int i = 0; i < points; ++i) cosine[i] = std::cos(2 * std::numbers::pi * i / points);
            for (int64_t row = 0; row < rows; ++row) {
                for (int k = 0; k < bins; ++k) {
                    double2 sum{0, 0};
                    for (int n = 0; n < points; ++n) {
                        const int turn = n * k % points;
                        sum.x += x[row * points + n] * cosine[turn];
                        sum.y += x[row * points + n] * cosine[(turn + points / 4) % points]; // cos(a + pi/2) = -sin(a)
                    }
                    spectra[row * bins + k] = sum;
                }
            }
            std::memset(scratch, 0xFF, scratch_bytes(points, rows));
            std::memset(x, 0xFF, values * sizeof(double));
            emulator::mark_written(spectra, results * sizeof(double2));
            return cudaSuccess;
        }));
    }
};

} // namespace

std::unique_ptr<cuda::Convolutions> convolutions_on_cpu(DType activation, TaskSeconds seconds, TaskFailure failure) {
    return std::make_unique<CpuConvolutions>(activation, std::move(seconds), std::move(failure));
}

std::unique_ptr<cuda::Gemm> gemm_on_cpu() { return std::make_unique<CpuGemm>(); }

std::unique_ptr<cuda::FourierTransforms> transforms_on_cpu() { return std::make_unique<CpuTransforms>(); }

} // namespace scene::test
