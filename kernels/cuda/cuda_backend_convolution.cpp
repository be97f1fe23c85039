// The convolutional part of a network: convolutions, batch norms, squeeze-excitation. Small-channel convolutions are
// our own, all others the library's.

#include <algorithm>

#include "kernels/conv2d/stem.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/operands.h"

namespace scene::cuda {
namespace {

constexpr size_t alignment = 256;

size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// What lies in a pass's scratch before the library's own, each piece aligned. Weight gradients come in the activation
/// type and are widened; sums over rows become moments.
struct OwnScratch {
    size_t narrow_gradient = 0; ///< bytes
    size_t sums = 0;            ///< of one kind; there are two
    size_t unused = 0;          ///< of one output that nobody reads; there are three

    OwnScratch(const ConvolutionTask& task, DType activation) {
        if (task.pass == ConvPass::WeightGrad && activation != DType::F32)
            narrow_gradient = aligned(static_cast<size_t>(task.shape.w().elements()) * size_of(activation));
        if (task.fusion.bn_reduce) unused = aligned(static_cast<size_t>(task.shape.in_channels) * sizeof(float));
        if (task.fusion.statistics) sums = aligned(static_cast<size_t>(task.shape.out_channels) * sizeof(float));
    }
    size_t bytes() const { return narrow_gradient + 2 * sums + 3 * unused; }
};

/// The forms of a pass that the fusions allow.
std::vector<ConvolutionTask> tasks_of(const Conv2dShape& shape, ConvPass pass, const ConvFusion& fusion) {
    std::vector<ConvolutionTask> tasks{{shape, pass, {}}};
    if (pass == ConvPass::DataGrad) {
        if (fusion.bn_reduce) tasks.push_back({shape, pass, {.bn_reduce = true}});
        return tasks;
    }
    const bool forward = pass == ConvPass::Forward;
    if (forward && fusion.statistics) tasks.push_back({shape, pass, {.normalize_input = false, .statistics = true}});
    if (fusion.normalize_input) tasks.push_back({shape, pass, {.normalize_input = true, .statistics = forward}});
    return tasks;
}

void add_input_norm(ConvolutionOperands& operands, const ConvolutionTask& task, const Tensor& x, const Tensor& scale,
                    const Tensor& shift) {
    if (!task.fusion.normalize_input) return;
    check_tensor(scale, x.dtype, {task.shape.in_channels}, "input_scale");
    check_tensor(shift, x.dtype, {task.shape.in_channels}, "input_shift");
    operands.scale = scale.data;
    operands.shift = shift.data;
}

} // namespace

size_t CudaBackend::conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const {
    if (conv2d_stem_suits(shape))
        return pass == ConvPass::WeightGrad ? conv2d_stem_weight_grad_scratch_bytes(shape) : 0;
    size_t bytes = 0;
    for (const ConvolutionTask& task : tasks_of(shape, pass, conv2d_fusion(shape)))
        bytes = std::max(bytes, OwnScratch(task, activation_).bytes() + convolutions_->scratch_bytes(task));
    return bytes;
}

void CudaBackend::check_offered(const ConvolutionTask& task) const {
    const std::vector<ConvolutionTask> offered = tasks_of(task.shape, task.pass, conv2d_fusion(task.shape));
    SCENE_CHECK(std::find(offered.begin(), offered.end(), task) != offered.end(),
                "conv2d_fusion does not offer this fusion");
}

void CudaBackend::convolve(const ConvolutionTask& task, const ConvolutionOperands& operands, void* scratch) {
    if (std::find(ran_.begin(), ran_.end(), task) == ran_.end()) ran_.push_back(task);
    convolutions_->run(task, operands, scratch, stream_);
}

ConvReport CudaBackend::conv2d_report() const {
    ConvReport report;
    for (const ConvolutionChoice& choice : convolutions_->choices())
        report.choices.push_back({choice.text, choice.engine, choice.seconds,
                                  std::find(ran_.begin(), ran_.end(), choice.task) != ran_.end(), choice.failures});
    report.kept = convolutions_->times().place();
    return report;
}

void CudaBackend::conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                                 const ConvExtras& extras) {
    const ConvolutionTask task{
        shape,
        ConvPass::Forward,
        {.normalize_input = static_cast<bool>(extras.input_scale), .statistics = static_cast<bool>(extras.mean)}};
    SCENE_CHECK(!extras.relu || extras.bias, "relu without bias");
    SCENE_CHECK(!extras.bias || !task.fusion.any(), "bias beside another fusion");
    if (conv2d_stem_suits(shape)) {
        SCENE_CHECK(!task.fusion.any(), "a small-channel convolution has neither input norm nor statistics");
        return conv2d_stem_forward(y, x, w, extras.bias, extras.relu, shape, stream_);
    }
    check_offered(task);
    check_tensor(y, activation_, shape.y(), "y");
    check_tensor(x, activation_, shape.x(), "x");
    check_tensor(w, activation_, shape.w(), "w");
    auto* memory = scratch_of<std::byte>(scratch, conv2d_scratch_bytes(shape, ConvPass::Forward));
    const OwnScratch own(task, activation_);
    const int64_t channels = shape.out_channels;
    ConvolutionOperands operands{.x = x.data, .w = w.data, .y = y.data};
    add_input_norm(operands, task, x, extras.input_scale, extras.input_shift);
    if (task.fusion.statistics) {
        operands.sum = reinterpret_cast<float*>(memory);
        operands.square_sum = reinterpret_cast<float*>(memory + own.sums);
    }
    convolve(task, operands, memory + own.bytes());
    if (task.fusion.statistics)
        moments_of_sums(extras.mean, extras.variance, {operands.sum, DType::F32, {channels}},
                        {operands.square_sum, DType::F32, {channels}}, y.elements() / channels, stream_);
    if (!extras.bias) return;
    linear_epilogue({y.data, y.dtype, {y.elements() / channels, channels}}, extras.bias,
                    extras.relu ? Activation::Relu : Activation::None, {}, {}, stream_);
}

void CudaBackend::conv2d_data_grad(Tensor dx, Tensor dy, Tensor w, Tensor scratch, const Conv2dShape& shape) {
    if (conv2d_stem_suits(shape)) return conv2d_stem_data_grad(dx, dy, w, shape, stream_);
    check_tensor(dx, activation_, shape.x(), "dx");
    check_tensor(dy, activation_, shape.y(), "dy");
    check_tensor(w, activation_, shape.w(), "w");
    void* memory = scratch_of<void>(scratch, conv2d_scratch_bytes(shape, ConvPass::DataGrad));
    convolve({shape, ConvPass::DataGrad, {}}, {.x = dx.data, .w = w.data, .y = dy.data}, memory);
}

void CudaBackend::conv2d_data_grad_norm(Tensor dz, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor w, Tensor norm_x,
                                        Tensor mean, Tensor inv_std, Tensor gamma, Tensor beta, Tensor scratch,
                                        const Conv2dShape& shape) {
    const ConvolutionTask task{shape, ConvPass::DataGrad, {.bn_reduce = true}};
    check_offered(task);
    check_tensor(dz, activation_, shape.x(), "dz");
    check_tensor(dy, activation_, shape.y(), "dy");
    check_tensor(w, activation_, shape.w(), "w");
    check_tensor(norm_x, activation_, shape.x(), "norm_x");
    const auto channels = [&](const Tensor& tensor, const char* name) {
        check_tensor(tensor, DType::F32, {shape.in_channels}, name);
        return static_cast<float*>(tensor.data);
    };
    auto* memory = scratch_of<std::byte>(scratch, conv2d_scratch_bytes(shape, ConvPass::DataGrad));
    const OwnScratch own(task, activation_);
    ConvolutionOperands operands{.x = dz.data, .w = w.data, .y = dy.data};
    operands.norm_x = norm_x.data;
    operands.mean = channels(mean, "mean");
    operands.inv_std = channels(inv_std, "inv_std");
    operands.gamma = channels(gamma, "gamma");
    operands.beta = channels(beta, "beta");
    operands.dgamma = channels(dgamma, "dgamma");
    operands.dbeta = channels(dbeta, "dbeta");
    for (size_t i = 0; i < operands.unused.size(); ++i)
        operands.unused[i] = reinterpret_cast<float*>(memory + i * own.unused);
    convolve(task, operands, memory + own.bytes());
}

void CudaBackend::conv2d_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                                     Tensor input_scale, Tensor input_shift) {
    const ConvolutionTask task{
        shape, ConvPass::WeightGrad, {.normalize_input = static_cast<bool>(input_scale), .statistics = false}};
    if (conv2d_stem_suits(shape)) {
        SCENE_CHECK(!task.fusion.any(), "a small-channel convolution has no input norm");
        return conv2d_stem_weight_grad(dw, dy, x, scratch, shape, stream_);
    }
    check_offered(task);
    check_tensor(dw, DType::F32, shape.w(), "dw");
    check_tensor(dy, activation_, shape.y(), "dy");
    check_tensor(x, activation_, shape.x(), "x");
    auto* memory = scratch_of<std::byte>(scratch, conv2d_scratch_bytes(shape, ConvPass::WeightGrad));
    const OwnScratch own(task, activation_);
    void* gradient = own.narrow_gradient > 0 ? static_cast<void*>(memory) : dw.data;
    ConvolutionOperands operands{.x = x.data, .w = gradient, .y = dy.data};
    add_input_norm(operands, task, x, input_scale, input_shift);
    convolve(task, operands, memory + own.bytes());
    if (own.narrow_gradient > 0) cuda::convert(dw, {gradient, activation_, shape.w()}, stream_);
}

void CudaBackend::batch_norm_statistics(Tensor mean, Tensor variance, Tensor x) {
    cuda::batch_norm_statistics(mean, variance, x, scratch(batch_norm_statistics_scratch_bytes(x.shape)), stream_);
}

void CudaBackend::batch_norm_finalize(Tensor scale, Tensor shift, Tensor inv_std, Tensor running_mean,
                                      Tensor running_variance, Tensor mean, Tensor variance, Tensor gamma, Tensor beta,
                                      int64_t rows, float momentum, float epsilon) {
    cuda::batch_norm_finalize(scale, shift, inv_std, running_mean, running_variance, mean, variance, gamma, beta, rows,
                              momentum, epsilon, stream_);
}

void CudaBackend::batch_norm_fold(Tensor scale, Tensor shift, Tensor running_mean, Tensor running_variance,
                                  Tensor gamma, Tensor beta, float epsilon) {
    cuda::batch_norm_fold(scale, shift, running_mean, running_variance, gamma, beta, epsilon, stream_);
}

void CudaBackend::fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale) {
    cuda::fold_conv_weights(folded_w, w, scale, stream_);
}

void CudaBackend::batch_norm_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, const NormEpilogue& epilogue,
                                     Tensor control) {
    cuda::batch_norm_forward(y, x, scale, shift, epilogue, control, stream_);
}

void CudaBackend::batch_norm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy, Tensor x, Tensor mean,
                                      Tensor inv_std, Tensor scale, Tensor shift, Tensor scratch,
                                      const NormEpilogue& epilogue, Tensor control) {
    cuda::batch_norm_backward(dx, dgamma, dbeta, dy, x, mean, inv_std, scale, shift, scratch, epilogue, control,
                              stream_);
}

void CudaBackend::batch_norm_apply_gradient(Tensor dx, Tensor dz, Tensor x, Tensor mean, Tensor inv_std, Tensor scale,
                                            Tensor dgamma, Tensor dbeta) {
    cuda::batch_norm_apply_gradient(dx, dz, x, mean, inv_std, scale, dgamma, dbeta, stream_);
}

size_t CudaBackend::batch_norm_scratch_bytes(const Shape& x) const { return batch_norm_backward_scratch_bytes(x); }

void CudaBackend::se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift) {
    cuda::se_squeeze(pooled, x, scale, shift, scratch(se_scratch_bytes(x.shape)), stream_);
}

void CudaBackend::se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool) {
    cuda::se_excite_forward(y, x, scale, shift, gate, avg_pool, stream_);
}

void CudaBackend::se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                          bool avg_pool) {
    cuda::se_excite_backward_gate(dgate, dy, x, scale, shift, gate, avg_pool, scratch(se_scratch_bytes(x.shape)),
                                  stream_);
}

void CudaBackend::se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                     Tensor dpooled, bool avg_pool) {
    cuda::se_excite_backward(dz, dy, x, scale, shift, gate, dpooled, avg_pool, stream_);
}

} // namespace scene::cuda
