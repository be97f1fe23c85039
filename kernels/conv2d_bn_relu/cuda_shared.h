#pragma once

// Shared by the CUDA kernels of both ops.

#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"
#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/common/im2col.h"
#include "kernels/cuda/context.h"

namespace scene::cuda {

constexpr int warps = block_threads / warp_lanes;

/// The number of blocks with one warp per item.
inline unsigned warp_blocks(int64_t items) { return static_cast<unsigned>(divide_up(items, warps)); }

/// The sizes of a shape; throws if it does not suit.
inline StemSizes closed_form_sizes(const Conv2dShape& shape) {
    SCENE_CHECK(conv2d_bn_relu_suits(shape), "x " + shape.x().text() + " with w " + shape.w().text() +
                                                 " is no convolution whose batch norm has a closed form");
    return StemSizes(shape);
}

/// sums = factor*(sum over all blocks).
struct FinishSums {
    double* sums;
    double factor;
    __device__ void operator()(int, int i, const double (&sum)[1]) const { sums[i] = factor * sum[0]; }
};

/// Whether the tiles of correct_gradient_on_tensor_cores fit into a block's shared memory.
bool correction_suits_tensor_cores(const StemSizes& size);
/// dx [N, H, W, C] = dx_sum - what the batch norm subtracts: correction [T, pitch], of which T + 1 columns are used,
/// times each (patch, 1). x and dx are 16-bit.
void correct_gradient_on_tensor_cores(Tensor dx, const float* dx_sum, Tensor x, const float* correction,
                                      int correction_pitch, const StemSizes& size, cudaStream_t stream);

} // namespace scene::cuda
