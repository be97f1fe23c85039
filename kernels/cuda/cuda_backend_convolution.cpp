// The convolutional part of a network: convolutions, batch norms, squeeze-excitation. Convolutions of few input
// channels are our own, all others the library's.

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

constexpr size_t alignment = 256;

void check(const Tensor& tensor, DType dtype, const Shape& shape, const char* name) {
    SCENE_CHECK(tensor && tensor.dtype == dtype && tensor.shape == shape,
                fmt::format("{} is {} {}, expected {} {}", name, tensor ? name_of(tensor.dtype) : "absent",
                            tensor ? tensor.shape.text() : "", name_of(dtype), shape.text()));
}

void* checked_scratch(const Tensor& scratch, size_t needed) {
    SCENE_CHECK(needed == 0 || (scratch && scratch.bytes() >= needed),
                fmt::format("scratch has {} bytes, expected {}", scratch ? scratch.bytes() : 0, needed));
    return scratch.data;
}

/// A library's weight gradient comes in the activation type and is widened: where it lies in the scratch, in bytes
/// before the library's own.
size_t narrow_gradient_bytes(DType activation, const Conv2dShape& shape) {
    if (activation == DType::F32) return 0;
    const size_t bytes = static_cast<size_t>(shape.w().elements()) * size_of(activation);
    return (bytes + alignment - 1) / alignment * alignment;
}

} // namespace

ConvFusion CudaBackend::conv2d_fusion(const Conv2dShape& shape) const {
    return {
        .normalize_input = false, .statistics = false, .bias_relu = true, .norm_of_windows = conv2d_norm_suits(shape)};
}

size_t CudaBackend::conv2d_scratch_bytes(const Conv2dShape& shape, ConvPass pass) const {
    if (conv2d_thin_suits(shape))
        return pass == ConvPass::WeightGrad ? conv2d_thin_weight_grad_scratch_bytes(shape) : 0;
    const size_t narrow = pass == ConvPass::WeightGrad ? narrow_gradient_bytes(activation_, shape) : 0;
    return narrow + convolutions_->scratch_bytes(shape, pass);
}

void CudaBackend::conv2d_forward(Tensor y, Tensor x, Tensor w, Tensor scratch, const Conv2dShape& shape,
                                 const ConvExtras& extras) {
    SCENE_CHECK(!extras.input_scale && !extras.mean, "conv2d_fusion offers neither input norm nor statistics");
    SCENE_CHECK(!extras.relu || extras.bias, "relu without bias");
    if (conv2d_thin_suits(shape)) return conv2d_thin_forward(y, x, w, extras.bias, extras.relu, shape, stream_);
    check(y, activation_, shape.y(), "y");
    check(x, activation_, shape.x(), "x");
    check(w, activation_, shape.w(), "w");
    void* memory = checked_scratch(scratch, conv2d_scratch_bytes(shape, ConvPass::Forward));
    convolutions_->run(shape, ConvPass::Forward, x.data, w.data, y.data, memory, stream_);
    if (!extras.bias) return;
    const int64_t channels = shape.out_channels;
    linear_epilogue({y.data, y.dtype, {y.elements() / channels, channels}}, extras.bias,
                    extras.relu ? Activation::Relu : Activation::None, {}, {}, stream_);
}

void CudaBackend::conv2d_data_grad(Tensor dx, Tensor dy, Tensor w, Tensor scratch, const Conv2dShape& shape) {
    if (conv2d_thin_suits(shape)) return conv2d_thin_data_grad(dx, dy, w, shape, stream_);
    check(dx, activation_, shape.x(), "dx");
    check(dy, activation_, shape.y(), "dy");
    check(w, activation_, shape.w(), "w");
    void* memory = checked_scratch(scratch, conv2d_scratch_bytes(shape, ConvPass::DataGrad));
    convolutions_->run(shape, ConvPass::DataGrad, dx.data, w.data, dy.data, memory, stream_);
}

void CudaBackend::conv2d_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                                     Tensor input_scale, Tensor input_shift) {
    SCENE_CHECK(!input_scale && !input_shift, "conv2d_fusion offers no input norm");
    if (conv2d_thin_suits(shape)) return conv2d_thin_weight_grad(dw, dy, x, scratch, shape, stream_);
    check(dw, DType::F32, shape.w(), "dw");
    check(dy, activation_, shape.y(), "dy");
    check(x, activation_, shape.x(), "x");
    auto* memory = static_cast<std::byte*>(checked_scratch(scratch, conv2d_scratch_bytes(shape, ConvPass::WeightGrad)));
    const size_t narrow = narrow_gradient_bytes(activation_, shape);
    void* gradient = narrow > 0 ? static_cast<void*>(memory) : dw.data;
    convolutions_->run(shape, ConvPass::WeightGrad, x.data, gradient, dy.data, memory + narrow, stream_);
    if (narrow > 0) cuda::convert(dw, {gradient, activation_, shape.w()}, stream_);
}

void CudaBackend::conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w,
                                         Tensor scratch, const Conv2dShape& shape) {
    cuda::conv2d_norm_statistics(mean, variance, moments, x, w, scratch, shape, stream_);
}

size_t CudaBackend::conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) const {
    return cuda::conv2d_norm_statistics_scratch_bytes(shape);
}

void CudaBackend::conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                                       Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale,
                                       Tensor scratch, const Conv2dShape& shape) {
    cuda::conv2d_norm_backward(dx, dw, dgamma, dbeta, da, a, x, w, moments, mean, inv_std, scale, scratch, shape,
                               stream_);
}

size_t CudaBackend::conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) const {
    return cuda::conv2d_norm_backward_scratch_bytes(shape);
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
