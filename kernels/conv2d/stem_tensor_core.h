#pragma once

// The kernels of kernels/conv2d/stem.h on tensor cores, for 16-bit activations. Sums are float.

#include <cuda_runtime.h>

#include "kernels/op_types.h"

namespace scene::cuda {

/// Whether their tiles fit into the shared memory that a block has on every device.
bool stem_suits_tensor_cores(const Conv2dShape& shape);

/// As conv2d_stem_forward, without its checks.
void stem_forward_on_tensor_cores(Tensor y, Tensor x, Tensor w, const float* bias, bool relu, const Conv2dShape& shape,
                                  cudaStream_t stream);

/// One pass over dy [N, P, Q, K], 16-bit and aligned to 16 bytes.
struct StemGradients {
    Tensor dy;
    Tensor a{}; ///< as dy; where it is given, dy counts only where a > 0, and w, scale and dx are float
    /// The weight gradient, if wanted: partial sums [chunks, K, T + with_sum]; with_sum adds a last column, the sums of
    /// dy.
    float* partial = nullptr;
    bool with_sum = false;
    Tensor x{}; ///< [N, H, W, C], for the weight gradient
    /// The data gradient [N, H, W, C], if wanted, with weights scale [K] * w [K, T]. Without `a`, dx and w are of dy's
    /// type, and scale is 1.
    Tensor dx{}, w{};
    const float* scale = nullptr;
};

/// The chunks of the partial sums are those of ChunkTiling (kernels/cuda/common/col2im.h).
void stem_gradients_on_tensor_cores(const StemGradients& op, const Conv2dShape& shape, cudaStream_t stream);

} // namespace scene::cuda
