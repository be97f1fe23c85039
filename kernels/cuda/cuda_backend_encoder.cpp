// Tokens, the encoder and the fusion head.

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"
#include "kernels/operands.h"

namespace scene::cuda {
void CudaBackend::token_pool_forward(Tensor y, Tensor x) { cuda::token_pool_forward(y, x, stream_); }
void CudaBackend::token_pool_backward(Tensor dx, Tensor dy) { cuda::token_pool_backward(dx, dy, stream_); }
void CudaBackend::token_max_forward(Tensor y, Tensor argmax, Tensor x) {
    cuda::token_max_forward(y, argmax, x, stream_);
}
void CudaBackend::token_max_backward(Tensor dx, Tensor dy, Tensor argmax) {
    cuda::token_max_backward(dx, dy, argmax, stream_);
}

void CudaBackend::embedding_forward(Tensor y, Tensor table, Tensor index) {
    cuda::embedding_forward(y, table, index, stream_);
}
void CudaBackend::embedding_backward(Tensor dtable, Tensor dy, Tensor index) {
    cuda::embedding_backward(dtable, dy, index, stream_);
}
void CudaBackend::concat_columns(Tensor y, const std::vector<Tensor>& parts) {
    cuda::concat_columns(y, parts, stream_);
}
void CudaBackend::split_columns(const std::vector<Tensor>& parts, Tensor y) { cuda::split_columns(parts, y, stream_); }

} // namespace scene::cuda
