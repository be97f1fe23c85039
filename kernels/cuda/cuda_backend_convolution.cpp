// The convolutional part of a network: batch norms, squeeze-excitation.

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/operands.h"

namespace scene::cuda {

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
